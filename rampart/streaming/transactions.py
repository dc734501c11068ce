"""Records and what became of them in one transaction, so that a reader sees each once."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from rampart.errors import StreamError
from rampart.streaming.connection import Connection
from rampart.streaming.lanes import Entry, Lane, Output
from rampart.streaming.outlets import Shrink, offsets, produce, producer, too_large

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

_log = logging.getLogger("rampart.stream")
_FLUSH_SECONDS = 30.0
_TRANSACTION_SECONDS = 0.05
_TRANSACTION_RECORDS = 500
_TRANSACTION_TIMEOUT_MS = 15_000
_TRANSACTION_CALL_SECONDS = 10.0
# Of a producer whose transactions cannot be gone on with; a call each, so that it takes minutes.
_RENEWALS = 30


class ExactlyOnce:
    """Writes and marks in transactions."""

    def __init__(
        self, connection: Connection, consumer: Consumer, shrink: Shrink, identity: str
    ) -> None:
        """Begin, and end what another of the same identity left behind.

        Args:
            connection: to the cluster.
            consumer: that reads the records.
            shrink: what is too large for its topic.
            identity: transactional id, of this process alone.

        Raises:
            StreamError: the broker refuses.
        """
        self._connection = connection
        self._consumer = consumer
        self._identity = identity
        self._shrink = shrink
        self._taken: list[tuple[Entry, Output]] = []
        self._first = 0.0
        self._failed = 0
        self._shrunk = False
        self._producer: Producer | None = None
        self._begin()

    def send(self, entry: Entry, output: Output) -> bool:
        """Keep it for the next transaction; False where that is full."""
        if self._producer is None or len(self._taken) >= _TRANSACTION_RECORDS:
            return False
        if not self._taken:
            self._first = max(self._first, monotonic())
        self._taken.append((entry, output))
        return True

    def turn(self, lanes: Collection[Lane]) -> None:
        """Write what was taken where it is enough, or has waited long enough."""
        now = monotonic()
        if self._producer is None and now >= self._first:
            self._renew(lanes)
        full = len(self._taken) >= _TRANSACTION_RECORDS and now >= self._first
        if self._taken and (full or now - self._first >= _TRANSACTION_SECONDS):
            self._write()

    def flush(self, seconds: float) -> None:
        """Write what was taken."""
        del seconds
        if self._taken:
            self._write()

    def mark(self, lanes: Collection[Lane]) -> None:
        """It was marked in the transaction that wrote it."""

    def _begin(self) -> None:
        from confluent_kafka import KafkaException

        fresh = producer(
            self._connection,
            transactional_id=self._identity,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            queue_buffering_max_messages=100_000,
        )
        try:
            fresh.init_transactions(_TRANSACTION_CALL_SECONDS)
        except KafkaException as error:
            raise StreamError(
                f"There are no transactions as {self._identity}: {error.args[0].str()}."
            ) from None
        self._producer = fresh

    def _write(self) -> None:
        from confluent_kafka import KafkaException

        taken = [one for one in self._taken if not one[0].lane.gone]
        self._taken = []
        if not taken or self._producer is None:
            return
        lanes = {id(entry.lane): entry.lane for entry, _ in taken}.values()
        last = {id(entry.lane): entry.offset + 1 for entry, _ in taken}
        try:
            self._producer.begin_transaction()
            for entry, output in taken:
                self._produce(self._producer, entry, output)
            self._producer.send_offsets_to_transaction(
                offsets(lanes, last),
                self._consumer.consumer_group_metadata(),
                _TRANSACTION_CALL_SECONDS,
            )
            _commit(self._producer)
        except KafkaException as error:
            self._abort(self._producer, error.args[0], lanes)
            return
        self._failed = 0
        for entry, _ in taken:
            entry.durable = True
        for lane in lanes:
            lane.marked = last[id(lane)]

    def _produce(self, writer: Producer, entry: Entry, output: Output) -> None:
        from confluent_kafka import KafkaException

        while True:
            try:
                produce(writer, output.topic, output.record, partial(self._delivered, entry))
            except BufferError:
                writer.poll(0.1)
            except KafkaException as error:
                self._delivered(entry, error.args[0], None)
                raise
            else:
                return

    def _delivered(self, entry: Entry, error: KafkaError | None, _: object) -> None:
        """Of what is too large for its topic something smaller is written the next time."""
        if error is not None and too_large(error):
            smaller = self._shrink(entry)
            if smaller is None:
                self._failed = _RENEWALS
            else:
                entry.output = smaller
                self._shrunk = True

    def _abort(self, writer: Producer, cause: KafkaError, lanes: Collection[Lane]) -> None:
        """Nothing of it was written: it is written again, where it is still ours."""
        from confluent_kafka import KafkaException

        _log.warning("A transaction failed and is written again: %s", cause.str())
        # Where something was made smaller the next will go better; that comes to an end by itself.
        self._failed = 0 if self._shrunk and self._failed < _RENEWALS else self._failed + 1
        self._shrunk = False
        if self._failed >= _RENEWALS:
            raise StreamError(
                f"Transactions cannot be gone on with: {cause.str()}.",
                "Nothing of the last one is seen; whoever starts next reads it again.",
            )
        self._rest()
        if not cause.fatal():
            try:
                writer.abort_transaction(_TRANSACTION_CALL_SECONDS)
            except KafkaException as failed:
                _log.warning("It cannot be aborted: %s", failed.args[0].str())
            else:
                for lane in lanes:
                    lane.take_back()
                return
        # Whether it was committed is not known: only the broker can tell, once it answers.
        self._producer = None

    def _renew(self, lanes: Collection[Lane]) -> None:
        """Begin anew, and find out what the broker has of the transaction that was given up.

        A new producer of the same identity ends that transaction one way or the other, and the
        group's marks, which belong to it, say which.

        Raises:
            StreamError: that was tried often enough.
        """
        from confluent_kafka import KafkaException, TopicPartition

        places = [TopicPartition(*lane.place) for lane in lanes]
        try:
            self._begin()
            marks = self._consumer.committed(places, timeout=_TRANSACTION_CALL_SECONDS)
            _check(marks)
        except (StreamError, KafkaException) as error:
            self._producer = None
            self._failed += 1
            if self._failed >= _RENEWALS:
                raise StreamError(
                    f"Transactions cannot be gone on with: {error}",
                    "Nothing of the last one is seen; whoever starts next reads it again.",
                ) from None
            self._rest()
            return
        known = {(mark.topic, mark.partition): mark.offset for mark in marks}
        for lane in lanes:
            lane.take_back()
            lane.pass_over(known[lane.place])

    def _rest(self) -> None:
        """Not at once again: a broker that refuses is not helped by being asked more."""
        self._first = monotonic() + min(self._failed * _TRANSACTION_SECONDS, _FLUSH_SECONDS)


def _check(marks: Collection[TopicPartition]) -> None:
    from confluent_kafka import KafkaException

    for mark in marks:
        if mark.error is not None:
            raise KafkaException(mark.error)


def _commit(writer: Producer) -> None:
    from confluent_kafka import KafkaException

    deadline = monotonic() + _FLUSH_SECONDS
    while True:
        try:
            writer.commit_transaction(_TRANSACTION_CALL_SECONDS)
        except KafkaException as error:
            if not error.args[0].retriable() or monotonic() > deadline:
                raise
        else:
            return
