"""How answers are written and records marked as read, for either guarantee.

At least once: a record is marked as read when the broker has acknowledged what it became, so that
nothing is lost; what was written and not marked before a crash is written again, with the same key
and the same event id. Exactly once: what records became and the mark are one transaction, so that
whoever reads committed records alone sees each once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from rampart.errors import StreamError
from rampart.streaming.connection import Connection
from rampart.streaming.lanes import Entry, Lane, Output
from rampart.streaming.wire import Record

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

_log = logging.getLogger("rampart.stream")
_MARK_SECONDS = 0.25


Shrink = Callable[[Entry], Output | None]
"""What is written in the place of an output that is too large for its topic."""


class Outlet(Protocol):
    """Writes what records became, and marks them as read."""

    def send(self, entry: Entry, output: Output) -> bool:
        """Take an entry's output to be written; False where there is no room now."""

    def turn(self, lanes: Collection[Lane]) -> None:
        """Go on with writing and marking.

        Raises:
            StreamError: it cannot be gone on.
        """

    def flush(self, seconds: float) -> None:
        """Write all that was taken, within the seconds."""

    def mark(self, lanes: Collection[Lane]) -> None:
        """Mark what is settled, and wait until it is."""


def producer(connection: Connection, **settings: Any) -> Producer:
    """A producer that loses and repeats nothing, and waits for a broker that is away.

    Args:
        connection: to the cluster.
        settings: of librdkafka's, `_` for `.`.
    """
    from confluent_kafka import Producer

    usual = {
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": "lz4",
        "linger_ms": 2,
        # As Java's clients have it, so that a key has the same partition for all.
        "partitioner": "murmur2_random",
        "message_max_bytes": 16_000_000,
    }
    return Producer(connection.client(**usual | settings))


def produce(
    writer: Producer, topic: str, record: Record, on_delivery: Callable[..., None] | None = None
) -> None:
    """Hand a record to a producer.

    Raises:
        BufferError: its queue is full.
        KafkaException: it refuses the record.
    """
    writer.produce(
        topic, record.value, record.key, headers=list(record.headers), on_delivery=on_delivery
    )


class AtLeastOnce:
    """Marks a record when what it became is acknowledged."""

    def __init__(self, connection: Connection, consumer: Consumer, shrink: Shrink) -> None:
        self._shrink = shrink
        self._large: list[Entry] = []
        # No end to waiting: what was not written is not marked, and reading has stopped by then.
        self._producer = producer(
            connection, message_timeout_ms=0, queue_buffering_max_messages=100_000
        )
        self._consumer = consumer
        self._error: KafkaError | None = None
        self._marked = 0.0

    def send(self, entry: Entry, output: Output) -> bool:
        """Hand the output to the producer; False where its queue is full."""
        from confluent_kafka import KafkaException

        try:
            produce(self._producer, output.topic, output.record, partial(self._delivered, entry))
        except BufferError:
            return False
        except KafkaException as error:
            self._delivered(entry, error.args[0], None)
        return True

    def turn(self, lanes: Collection[Lane]) -> None:
        """See what was acknowledged, and mark it now and then."""
        self._producer.poll(0)
        large, self._large = self._large, []
        for entry in large:
            if entry.output is None or not self.send(entry, entry.output):
                self._large.append(entry)
        self._check()
        if monotonic() - self._marked >= _MARK_SECONDS:
            self._mark(lanes, wait=False)

    def flush(self, seconds: float) -> None:
        """Wait until all is acknowledged."""
        self._producer.flush(seconds)
        if self._large:
            self.turn(())
            self._producer.flush(seconds)
        self._check()

    def mark(self, lanes: Collection[Lane]) -> None:
        """Mark what is settled, and wait until it is."""
        for lane in lanes:
            # What was marked without waiting may not have been taken.
            lane.marked = None
        self._mark(lanes, wait=True)

    def _mark(self, lanes: Collection[Lane], *, wait: bool) -> None:
        from confluent_kafka import KafkaException

        self._marked = monotonic()
        marks = [lane for lane in lanes if lane.unmarked and not lane.gone]
        if not marks:
            return
        try:
            self._consumer.commit(offsets=offsets(marks), asynchronous=not wait)
        except KafkaException as error:
            # Whoever reads the partition next reads some of it again.
            _log.warning("Records could not be marked as read: %s", error.args[0].str())
            return
        for lane in marks:
            lane.marked = lane.next_offset

    def _delivered(self, entry: Entry, error: KafkaError | None, _: object) -> None:
        if error is None:
            entry.durable = True
        elif too_large(error) and (smaller := self._shrink(entry)) is not None:
            entry.output = smaller
            self._large.append(entry)
        else:
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise StreamError(
                f"A record cannot be written: {self._error.str()}.",
                "What was not written is read again by whoever starts next.",
            )


def too_large(error: KafkaError) -> bool:
    """Whether the topic takes nothing so large."""
    from confluent_kafka import KafkaError

    found: bool = error.code() in {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
    return found


def offsets(lanes: Collection[Lane], given: dict[int, int] | None = None) -> list[Any]:
    """Where lanes are marked: behind what is durable, or at the offsets that are given."""
    from confluent_kafka import TopicPartition

    return [
        TopicPartition(*lane.place, lane.next_offset if given is None else given[id(lane)])
        for lane in lanes
    ]
