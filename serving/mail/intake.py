"""A mail becomes a received event, and is taken only once the broker has it."""

from __future__ import annotations

import hashlib

from rampart.errors import TooLargeError
from rampart.streaming.events import Received
from rampart.streaming.sending import Sender


class Intake:
    """Hands mails on; any thread may use it."""

    def __init__(self, sender: Sender, *, category: str, max_bytes: int, seconds: float) -> None:
        """Ready.

        Args:
            sender: that writes events.
            category: of each mail.
            max_bytes: of one.
            seconds: that the broker has to take it.
        """
        self._sender = sender
        self._category = category
        self.max_bytes = max_bytes
        self._seconds = seconds

    def take(self, mail: bytes) -> str:
        """Hand a mail on; its id, which is its digest, so that one sent twice is one message.

        Raises:
            TooLargeError: it is over the limit.
            StreamError: the broker did not take it in time; it may be given again.
        """
        if len(mail) > self.max_bytes:
            raise TooLargeError(
                f"The mail has more than {self.max_bytes} bytes.",
                "Raise max_mail_bytes, and the topic's limit.",
            )
        identity = hashlib.sha256(mail).hexdigest()
        self._sender.deliver(Received.of_mail(mail, self._category), identity, self._seconds)
        return identity
