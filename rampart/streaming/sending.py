"""Messages of a source as received events, in the order that they arrived, at a chosen rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException

from rampart.data.mail import parse
from rampart.errors import DataError, RampartError, StreamError, TooLargeError
from rampart.streaming.connection import Connection, require
from rampart.streaming.events import RECEIVED, Received
from rampart.streaming.outlets import produce, producer, too_large
from rampart.streaming.wire import Mode, Record, event, to_record

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka import Message as KafkaMessage

_LONGEST_NAP = 0.05


class Sender:
    """Writes received events, each with the time that it is written at as its own."""

    def __init__(self, connection: Connection, topic: str, source: str, **settings: Any) -> None:
        """Nothing is written yet.

        Args:
            connection: to the cluster.
            topic: of received messages.
            source: a URI reference to who sends.
            settings: of librdkafka's, `_` for `.`.

        Raises:
            StreamError: the broker does not answer, or has no such topic.
        """
        require(connection, [topic])
        self.sent = 0
        self._topic = topic
        self._source = source
        self._producer = producer(connection, **settings)
        self._error: KafkaError | None = None

    def send(self, data: Received, identity: str, mode: Mode = "binary") -> None:
        """Write a message; it is not there for sure before `flush`.

        Raises:
            StreamError: an earlier one could not be written.
        """
        told = event(RECEIVED, data, id=identity, source=self._source, time=datetime.now(UTC))
        self._write(to_record(told, identity, mode))

    def deliver(self, data: Received, identity: str, seconds: float) -> None:
        """Write a message and wait until the broker has it; any thread may call.

        Raises:
            TooLargeError: the topic takes nothing so large.
            StreamError: it was not written in time; it may be there all the same.
        """
        told = event(RECEIVED, data, id=identity, source=self._source, time=datetime.now(UTC))
        record = to_record(told, identity)
        outcome: list[KafkaError | None] = []
        try:
            produce(self._producer, self._topic, record, lambda error, _: outcome.append(error))
        except BufferError:
            raise StreamError("Too many messages wait for the broker.") from None
        except KafkaException as error:
            raise _refusal(error.args[0]) from None
        deadline = time.monotonic() + seconds
        while not outcome and time.monotonic() < deadline:
            self._producer.poll(_LONGEST_NAP)
        if not outcome:
            raise StreamError(f"The broker has not taken a message in {seconds:g} s.")
        if outcome[0] is not None:
            raise _refusal(outcome[0])
        self.sent += 1

    def flush(self, seconds: float = 60.0) -> None:
        """Wait until all are there.

        Raises:
            StreamError: they are not.
        """
        left = self._producer.flush(seconds)
        self._check()
        if left:
            raise StreamError(f"{left} messages were not written in {seconds:.0f} s.")

    def _write(self, record: Record) -> None:
        while True:
            try:
                produce(self._producer, self._topic, record, self._delivered)
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            else:
                self._producer.poll(0)
                self._check()
                return

    def _delivered(self, error: KafkaError | None, _: KafkaMessage) -> None:
        if error is None:
            self.sent += 1
        else:
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise StreamError(f"A message cannot be written: {self._error.str()}.")


def _refusal(error: KafkaError) -> RampartError:
    if too_large(error):
        return TooLargeError("The message is larger than its topic allows.")
    return StreamError(f"A message cannot be written: {error.str()}.")


Row = tuple[str, str, bytes | None, str | None]
"""A message as sources give it: id, group, the mail as its bytes, or the text."""


def by_arrival(rows: Iterable[Row]) -> Iterator[tuple[str, Received]]:
    """Messages with their ids, those first that arrived first, mails as their bytes.

    Args:
        rows: what has no time of arrival comes last.

    Raises:
        DataError: there is none.
    """
    never = datetime.max.replace(tzinfo=UTC)
    ordered = sorted(
        ((parse(mail).arrived if mail is not None else None) or never, identity, group, mail, text)
        for identity, group, mail, text in rows
    )
    if not ordered:
        raise DataError("There is no message to send.", "Name another source.")
    for _, identity, group, mail, text in ordered:
        if mail is not None:
            yield identity, Received.of_mail(mail, group)
        else:
            yield identity, Received(text=text, category=group)


def paced(
    messages: Iterator[tuple[str, Received]],
    rate: float,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, Received]]:
    """The same, no faster than so many a second; 0 for as fast as it goes."""
    begun = time.monotonic()
    for number, message in enumerate(messages):
        while rate and (left := begun + number / rate - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_NAP))
            if stopped():
                return
        yield message
