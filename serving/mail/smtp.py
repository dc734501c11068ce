"""A server that mail servers send copies to; it scores nothing, keeps nothing and relays nothing.

A mail is acknowledged when the broker has it, so that whoever sends it keeps it till then: a broker
that is away makes a mail server try again later, which is what mail servers do.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from rampart.errors import InputError, TooLargeError
from rampart.streaming.sending import Sender
from serving.mail.intake import Intake
from serving.mail.settings import SmtpSettings
from serving.stream.server import say, stop_signal

_log = logging.getLogger("rampart.smtp")
_NAME = "rampart"
_LINE = 1_000_000


def serve(settings: SmtpSettings) -> None:
    """Take mails until the process is told to stop; prints one line when it begins.

    Raises:
        InputError: the port cannot be listened on, or the certificate cannot be read.
        StreamError: the broker does not answer, or has no such topic.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # It says at each mail that it is not authenticated, which nobody here is.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    stopped = stop_signal()
    names = settings.names()
    sender = Sender(
        settings.connection(),
        names.received,
        f"smtp://{_NAME}",
        # Who was not acknowledged sends again: no copy waits longer than that, nor do many.
        message_timeout_ms=int(settings.deliver_seconds * 1e3),
        queue_buffering_max_kbytes=65_536,
    )
    intake = Intake(
        sender,
        category=settings.category,
        max_bytes=settings.max_mail_bytes,
        seconds=settings.deliver_seconds,
    )
    controller = _Controller(
        _Handler(intake, settings),
        settings,
        hostname=settings.host,
        port=settings.port,
        # aiosmtpd calls the address that it listens on to see whether it does.
        ready_timeout=10.0,
    )
    try:
        controller.start()
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{settings.host}:{settings.port} cannot be listened on: {error}.",
            "Give another port, or end what listens there.",
        ) from error
    say(f"Taking mails at {settings.host}:{controller.port}, for {names.received}")
    try:
        stopped.wait()
    finally:
        controller.stop()


class _Controller(Controller):  # type: ignore[misc]
    """Serves as the settings say; a port of 0 becomes the one that was free."""

    def __init__(self, handler: _Handler, settings: SmtpSettings, **options: Any) -> None:
        super().__init__(handler, **options)
        self._settings = settings
        self._connections = _Count(settings.connections)

    def factory(self) -> SMTP:
        """What answers one connection."""
        settings = self._settings
        return _Server(
            self.handler,
            self._connections,
            hostname=_NAME,
            ident="Rampart takes copies of mails",
            data_size_limit=settings.max_mail_bytes,
            enable_SMTPUTF8=True,
            tls_context=_tls(settings),
            timeout=300,
        )

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class _Count:
    """How many there are, and may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 0


class _Server(SMTP):  # type: ignore[misc]
    """One connection; one too many is told so and ended."""

    # Spam has longer lines than the standard allows, and is to be seen all the same.
    line_length_limit = _LINE

    def __init__(self, handler: _Handler, connections: _Count, **options: Any) -> None:
        super().__init__(handler, **options)
        self._count = connections
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody comes."""
        if not self._counted:
            if self._count.now >= self._count.most and isinstance(transport, asyncio.Transport):
                transport.write(b"421 4.3.2 Too many connections, try again later\r\n")
                transport.close()
                return
            self._counted = True
            self._count.now += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """He went."""
        if self._counted:
            self._counted = False
            self._count.now -= 1
            super().connection_lost(error)


class _Handler:
    """What each mail becomes."""

    def __init__(self, intake: Intake, settings: SmtpSettings) -> None:
        self._intake = intake
        self._settings = settings

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Everybody's mail is taken, as far as there are not too many of them."""
        del server, session, options
        if len(envelope.rcpt_tos) >= self._settings.max_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Acknowledge the mail once the broker has it."""
        del server, session
        content = envelope.original_content or b""
        try:
            identity = await asyncio.to_thread(self._intake.take, content)
        except TooLargeError as error:
            return f"552 5.3.4 {error}"
        except Exception as error:  # noqa: BLE001 - whoever sends keeps the mail, and asks again
            _log.warning("A mail was not taken: %s", error)
            return "451 4.3.0 The mail cannot be taken now, try again later"
        return f"250 2.0.0 Taken as {identity}"


def _tls(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:
        raise InputError(f"The certificate cannot be read: {error}.") from error
    return context
