"""A member of a consumer group that scores what it reads, in order and within bounds.

One thread reads, hands on, writes and marks as read; whoever computes has threads of its own. What
comes out of a partition has the order of what went in, and so has what comes out of a key. Reading
goes on while others compute, so that the group never takes a slow scorer for a dead one; where too
much waits, partitions are paused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from rampart.streaming.breaker import Breaker
from rampart.streaming.calls import Calls, Scored
from rampart.streaming.connection import Connection, Topics, refused
from rampart.streaming.events import Origin, Reason
from rampart.streaming.figures import Figures
from rampart.streaming.lanes import Entry, Lane, Load, Place
from rampart.streaming.letters import Retries, header_bytes, passage
from rampart.streaming.outcomes import Limits, Outcomes
from rampart.streaming.outlets import AtLeastOnce, Outlet
from rampart.streaming.scoring import Scorer
from rampart.streaming.transactions import ExactlyOnce
from rampart.streaming.wire import record_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError
    from confluent_kafka import Message as KafkaMessage

_log = logging.getLogger("rampart.stream")

Guarantee = Literal["at-least-once", "exactly-once"]
_AT_ONCE = 500
_IDLE_SECONDS = 0.1
_BUSY_SECONDS = 0.002
_SAY_AGAIN_SECONDS = 30.0
# What a record takes beside its bytes: as an object of this and of Kafka's client.
_ENTRY_BYTES = 2_000
_HEADER_OBJECT_BYTES = 200
_LATEST_MS = 253_402_300_799_000  # The end of the year 9999.


class Processor:
    """Scores a topic's messages until it is told to stop; `run` belongs to one thread."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        scorer: Scorer,
        *,
        group: str = "rampart-scorer",
        guarantee: Guarantee = "at-least-once",
        identity: str = "rampart-scorer-1",
        retries: Retries | None = None,
        limits: Limits | None = None,
        figures: Figures | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        """Join the group; partitions come once it runs.

        Args:
            connection: to the cluster.
            topics: that are read and written.
            scorer: who computes.
            group: whose members share the partitions.
            guarantee: of what is written, whatever ends this process.
            identity: transactional id, of this process alone, where the guarantee is exactly once.
            retries: when a message comes again whose fault may pass.
            limits: of what is held and taken.
            figures: to count in.
            breaker: for outages of the scorer.

        Raises:
            StreamError: the broker refuses.
        """
        from confluent_kafka import Consumer

        self.figures = figures or Figures()
        self.breaker = breaker or Breaker()
        self._topics = topics
        self._scorer = scorer
        self._limits = limits or Limits()
        self._outcomes = Outcomes(
            topics, retries or Retries.doubling(topics, 5.0, 6.0), self._limits
        )
        self._lanes: dict[Place, Lane] = {}
        self._load = Load()
        self._calls = Calls(
            scorer, self.breaker, tokens=self._limits.tokens, seconds=self._limits.seconds
        )
        self._complaints: dict[int, float] = {}
        self._throttled = False
        self._alive = time.monotonic()
        self._consumer: Consumer = Consumer(
            connection.client(
                group_id=group,
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                auto_offset_reset="earliest",
                partition_assignment_strategy="cooperative-sticky",
                isolation_level="read_committed",
                # A member that was killed is missed after so long.
                session_timeout_ms=10_000,
                max_poll_interval_ms=300_000,
                fetch_wait_max_ms=100,
                queued_max_messages_kbytes=16_384,
            )
            | {"error_cb": self._complained, "on_commit": self._marked}
        )
        self._outlet: Outlet = (
            AtLeastOnce(connection, self._consumer, self._outcomes.shrunk)
            if guarantee == "at-least-once"
            else ExactlyOnce(connection, self._consumer, self._outcomes.shrunk, identity)
        )
        self._show()

    @property
    def stuck(self) -> float:
        """Seconds since the loop went round last."""
        return time.monotonic() - self._alive

    def run(self, stopped: Callable[[], bool]) -> None:
        """Score until told to stop; then write what is under way, mark it, and leave the group.

        Args:
            stopped: whether it is to end; asked ten times a second or more.

        Raises:
            StreamError: the broker refuses to go on. Nothing is lost by it.
        """
        self._consumer.subscribe(
            self._topics.read,
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )
        try:
            while not stopped():
                for message in self._consumed():
                    self._take(message)
                self._advance()
                self._throttle()
            self._drain(list(self._lanes.values()))
        finally:
            self._consumer.close()

    # --- reading ------------------------------------------------------------------------------

    def _consumed(self) -> Iterator[KafkaMessage]:
        if self._load.records or self._calls.busy:
            yield from self._consumer.consume(_AT_ONCE, _BUSY_SECONDS)
            return
        # It waits for the first and takes what else is there; `consume` would wait for them all.
        first = self._consumer.poll(_IDLE_SECONDS)
        if first is not None:
            # It is taken first: partitions may go to others in the next call.
            yield first
            yield from self._consumer.consume(_AT_ONCE, 0)

    def _take(self, message: KafkaMessage) -> None:
        error = message.error()
        if error is not None:
            self._refused(error)
            return
        place = str(message.topic()), int(message.partition() or 0)
        lane = self._lanes.get(place)
        if lane is None:
            return
        offset = int(message.offset() or 0)
        if lane.wake:
            # What sleeps takes no memory from the others.
            lane.rewind = offset if lane.rewind is None else min(lane.rewind, offset)
            return
        record, broken = record_of(message)
        origin = Origin.model_construct(topic=place[0], partition=place[1], offset=offset)
        retried = place[0] != self._topics.received
        past = passage(record, origin, retried=retried)
        if retried and not broken and past.due > time.time():
            # What is behind it is due later still; it is read again when its time has come.
            lane.wake, lane.rewind = past.due, offset
            return
        _, stamp = message.timestamp()
        size = _ENTRY_BYTES + 2 * (len(record.value or b"") + len(record.key or b""))
        size += 2 * header_bytes(record.headers) + _HEADER_OBJECT_BYTES * len(record.headers)
        entry = Entry(
            lane,
            offset,
            record,
            size,
            datetime.fromtimestamp(min(max(stamp, 0), _LATEST_MS) / 1e3, UTC),
            time.monotonic(),
            past,
        )
        lane.entries.append(entry)
        self._load.add(entry)
        self.figures.read.labels(place[0]).inc()
        if broken:
            self._outcomes.bury(entry, Reason.BAD_ENVELOPE, broken)
        else:
            self._read(entry)

    def _read(self, entry: Entry) -> None:
        message = self._outcomes.read(entry)
        if message is not None:
            self._calls.add(entry, message)

    # --- answering ----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Everything that can go on without waiting for anybody."""
        self._alive = time.monotonic()
        self._wake()
        for back in self._calls.come_back():
            if back.entry.lane.gone:
                continue
            if isinstance(back, Scored):
                self._outcomes.answer(back)
                self.figures.threats.labels(back.verdict.label, back.verdict.stage).inc()
            else:
                self._outcomes.failed(back)
        self._calls.ask()
        self._write()
        self._outlet.turn(self._lanes.values())
        self._settle()

    def _wake(self) -> None:
        from confluent_kafka import TopicPartition

        now = time.time()
        for lane in self._lanes.values():
            if not lane.wake or lane.wake > now:
                continue
            lane.wake = 0.0
            if lane.rewind is not None:
                self._consumer.seek(TopicPartition(*lane.place, lane.rewind))
                lane.rewind = None

    def _write(self) -> None:
        for lane in self._lanes.values():
            while lane.entries and (output := lane.entries[0].output) is not None:
                if not self._outlet.send(lane.entries[0], output):
                    return
                lane.written.append(lane.entries.popleft())

    def _settle(self) -> None:
        now, clock = time.time(), time.monotonic()
        for lane in self._lanes.values():
            for entry in lane.settle():
                self._load.drop(entry)
                if entry.output is not None:
                    self.figures.outputs.labels(entry.output.kind).inc()
                self.figures.seconds.observe(max(0.0, now - entry.timestamp.timestamp()))
                self.figures.here.observe(clock - entry.taken)

    # --- pressure -----------------------------------------------------------------------------

    def _throttle(self) -> None:
        """Ask for no more of a partition while too much is held, or nothing of it is due."""
        from confluent_kafka import TopicPartition

        full = max(self._load.records / self._limits.records, self._load.bytes / self._limits.bytes)
        if full >= 1.0:
            self._throttled = True
        elif full <= 0.5:
            self._throttled = False
        pause: list[TopicPartition] = []
        resume: list[TopicPartition] = []
        for lane in self._lanes.values():
            wanted = self._throttled or lane.wake > 0
            if wanted != lane.paused:
                lane.paused = wanted
                (pause if wanted else resume).append(TopicPartition(*lane.place))
        if pause:
            self._consumer.pause(pause)
        if resume:
            self._consumer.resume(resume)

    # --- the group ----------------------------------------------------------------------------

    def _assigned(self, _: Consumer, partitions: Sequence[Any]) -> None:
        for one in partitions:
            self._lanes[one.topic, one.partition] = Lane((one.topic, one.partition))
        self.figures.rebalances.labels("assigned").inc(len(partitions))

    def _revoked(self, _: Consumer, partitions: Sequence[Any]) -> None:
        lanes = self._of(partitions)
        self._drain(lanes)
        self._drop(lanes)
        self.figures.rebalances.labels("revoked").inc(len(partitions))

    def _marked(self, error: KafkaError | None, partitions: Sequence[Any]) -> None:
        """Marks that were not taken are made again."""
        for one in partitions:
            lane = self._lanes.get((one.topic, one.partition))
            if lane is not None and (error is not None or one.error is not None):
                lane.marked = None

    def _lost(self, _: Consumer, partitions: Sequence[Any]) -> None:
        lanes = self._of(partitions)
        self._drop(lanes)
        self.figures.rebalances.labels("lost").inc(len(partitions))

    def _of(self, partitions: Sequence[Any]) -> list[Lane]:
        places = ((one.topic, one.partition) for one in partitions)
        return [self._lanes[place] for place in places if place in self._lanes]

    def _drain(self, lanes: Sequence[Lane]) -> None:
        """Finish what the scorer was asked of these partitions, write it, and mark it as read."""
        deadline = time.monotonic() + self._limits.handover
        for lane in lanes:
            lane.wake = float("inf")  # What sleeps is left to the next reader.
        self._calls.forget(lanes)
        while self._calls.under_way(lanes) and time.monotonic() < deadline:
            self._advance()
            time.sleep(_BUSY_SECONDS)
        self._advance()
        self._outlet.flush(max(1.0, deadline - time.monotonic()))
        self._settle()
        self._outlet.mark(lanes)

    def _drop(self, lanes: Sequence[Lane]) -> None:
        self._calls.forget(lanes)
        for lane in lanes:
            lane.gone = True
            for entry in (*lane.entries, *lane.written):
                self._load.drop(entry)
            del self._lanes[lane.place]

    # --- what goes wrong ----------------------------------------------------------------------

    def _refused(self, error: KafkaError) -> None:
        from confluent_kafka import KafkaError

        code = error.code()
        if code in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED}:
            raise refused("A topic cannot be read", error)
        if code == KafkaError.GROUP_AUTHORIZATION_FAILED or error.fatal():
            raise refused("The group cannot be joined", error)
        self._complained(error)

    def _complained(self, error: KafkaError) -> None:
        self.figures.errors.labels(error.name()).inc()
        # A broker that is away is complained of ten times a second.
        now = time.monotonic()
        if now - self._complaints.get(error.code(), -_SAY_AGAIN_SECONDS) >= _SAY_AGAIN_SECONDS:
            self._complaints[error.code()] = now
            _log.warning("Kafka: %s", error.str())

    def _show(self) -> None:
        watch = self.figures.watch
        watch("held_records", "Records that are held", lambda: self._load.records)
        watch("held_bytes", "About what they take", lambda: self._load.bytes)
        watch("waiting", "Messages that wait for the scorer", lambda: self._calls.waiting)
        watch("unanswered", "Messages that the scorer computes", lambda: self._calls.unanswered)
        watch("partitions", "Partitions that are read here", lambda: len(self._lanes))
        watch(
            "paused_partitions",
            "Partitions of which no more is asked for",
            lambda: sum(bool(lane.paused) for lane in list(self._lanes.values())),
        )
        watch(
            "breaker_open",
            "1 while the scorer answers nothing",
            lambda: float(not self.breaker.closed),
        )
        watch("outages", "Times that it was so", lambda: self.breaker.opened)
