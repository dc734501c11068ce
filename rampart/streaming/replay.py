"""Dead letters: looked through, and fed back to where they came from.

A letter is fed back in the transaction that marks it as read, so that it is fed back once, whatever
ends the process. Each choice of letters has a place of its own up to which it was fed back: asked
again, only what came since is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from rampart.errors import EventError, StreamError
from rampart.streaming.attributes import time_of
from rampart.streaming.connection import Connection, Topics, require
from rampart.streaming.events import DeadLetter, Reason
from rampart.streaming.letters import revived
from rampart.streaming.outlets import produce, producer, too_large
from rampart.streaming.wire import data_of, from_record, record_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

GROUP = "rampart-replay"
_SECONDS = 30.0
_WAIT = 0.5
_AT_ONCE = 100
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and where it lies.

    Attributes:
        id: of its event: topic, partition and offset of what it is about.
        buried: when it was written.
        data: what it says.
        partition: of the topic of dead letters.
        offset: there.
    """

    id: str
    buried: datetime
    data: DeadLetter
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant.

    Attributes:
        reasons: of them; every one where there is none.
        ids: of them; any where there is none.
        most_replays: that a letter has behind it: what came back so often will again.
    """

    reasons: frozenset[Reason] = frozenset()
    ids: frozenset[str] = frozenset()
    most_replays: int = 3

    def takes(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return (
            (not self.reasons or letter.data.reason in self.reasons)
            and (not self.ids or letter.id in self.ids)
            and letter.data.replays < self.most_replays
        )

    @property
    def name(self) -> str:
        """What its place is kept by."""
        if not self.reasons and not self.ids:
            return GROUP
        said = "\n".join([*sorted(self.reasons), "", *sorted(self.ids)])
        return f"{GROUP}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        fed: letters that were fed back.
        passed: that were not meant, or have been fed back too often.
        unfit: that hold no bytes to feed back, are of another topic, or are too large for theirs
            with what a replay adds to them.
    """

    fed: int
    passed: int
    unfit: int


def letters(connection: Connection, topics: Topics) -> Iterator[Letter]:
    """All dead letters that there are now, in their order.

    Raises:
        StreamError: the broker does not answer, or has no topic of dead letters.
    """
    require(connection, [topics.dead_letters])
    consumer = _reader(connection, f"{GROUP}-list")
    try:
        for message in _until_now(consumer, topics.dead_letters, whole=True):
            yield from _letter(message)
    finally:
        consumer.close()


def replay(
    connection: Connection,
    topics: Topics,
    choice: Choice,
    *,
    again: bool = False,
    on_letter: Callable[[Letter], None] | None = None,
) -> Replayed:
    """Feed letters back.

    Args:
        connection: to the cluster.
        topics: their names; only what came of `received` is fed back, and there.
        choice: which letters.
        again: those too that were fed back before.
        on_letter: told each that is fed back.

    Raises:
        StreamError: the broker does not answer, or refuses. What was fed back stays so.
    """
    from confluent_kafka import KafkaException

    require(connection, [topics.dead_letters, topics.received])
    consumer = _reader(connection, choice.name)
    writer = producer(connection, transactional_id=f"{choice.name}-{topics.received}")
    fed = passed = unfit = 0
    try:
        writer.init_transactions(_SECONDS)
        pending: list[tuple[Any, Letter | None]] = []

        def write() -> None:
            nonlocal fed, unfit
            if not pending:
                return
            written = [letter for _, letter in pending if letter is not None]
            ends = _behind([message for message, _ in pending])
            tries = 0
            while (
                failed := _written(writer, consumer, topics.received, written, ends)
            ) is not None:
                tries = 0 if failed.large else tries + 1
                if tries >= _TRIES:
                    raise failed.error
                written = [letter for letter in written if letter.id not in failed.large]
                unfit += len(failed.large)
            fed += len(written)
            for letter in written:
                if on_letter is not None:
                    on_letter(letter)
            pending.clear()

        for message in _until_now(consumer, topics.dead_letters, whole=again):
            letter = next(iter(_letter(message)), None)
            meant = letter is not None and choice.takes(letter)
            fits = (
                letter is not None
                and letter.data.value is not None
                and letter.data.origin.topic == topics.received
            )
            passed += not meant
            unfit += meant and not fits
            pending.append((message, letter if meant and fits else None))
            if len(pending) >= _AT_ONCE:
                write()
        write()
    except KafkaException as error:
        raise StreamError(
            f"Letters cannot be fed back: {error.args[0].str()}.",
            "Those that were stay so; try again for the rest.",
        ) from None
    finally:
        consumer.close()
    return Replayed(fed, passed, unfit)


def _reader(connection: Connection, group: str) -> Consumer:
    from confluent_kafka import Consumer

    return Consumer(
        connection.client(
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
    )


def _until_now(consumer: Consumer, topic: str, *, whole: bool) -> Iterator[Any]:
    """What a topic holds at this moment, from its beginning or from the group's place."""
    from confluent_kafka import OFFSET_INVALID, TopicPartition

    parts = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in parts]
    left: dict[int, int] = {}
    for place in consumer.committed(places, timeout=_SECONDS):
        low, high = consumer.get_watermark_offsets(place, timeout=_SECONDS)
        known = place.offset if place.offset != OFFSET_INVALID and not whole else low
        place.offset = max(low, known)
        if place.offset < high:
            left[place.partition] = high
            consumer.incremental_assign([place])
    ended: set[int] = set()
    while left.keys() - ended:
        for message in consumer.consume(_AT_ONCE, _WAIT):
            error = message.error()
            if error is not None:
                raise StreamError(f"{topic} cannot be read: {error.str()}.")
            if message.offset() < left[message.partition()]:
                yield message
        # Behind the last record may be the mark of a transaction, which no message shows.
        for place in consumer.position([TopicPartition(topic, number) for number in left]):
            if place.offset >= left[place.partition]:
                ended.add(place.partition)


def _letter(message: Any) -> list[Letter]:
    """The letter in a record; nothing where somebody wrote something else there."""
    try:
        told = from_record(record_of(message)[0])
        data = data_of(told, DeadLetter)
    except EventError:
        return []
    buried = time_of(told)
    if buried is None:
        return []
    return [Letter(str(told["id"]), buried, data, message.partition(), message.offset())]


def _behind(messages: Collection[Any]) -> list[Any]:
    from confluent_kafka import TopicPartition

    last = {(one.topic(), one.partition()): one.offset() + 1 for one in messages}
    return [TopicPartition(topic, part, offset) for (topic, part), offset in last.items()]


@dataclass(frozen=True, slots=True)
class _Failed:
    """A transaction that was given up: what the broker said, and ids that are too large."""

    error: Exception
    large: frozenset[str]


def _written(
    writer: Producer, consumer: Consumer, topic: str, fed: Sequence[Letter], ends: Sequence[Any]
) -> _Failed | None:
    """Write letters back and mark them in one transaction; None where that went well.

    Raises:
        KafkaException: nothing can be written any more.
    """
    from confluent_kafka import KafkaException

    large: set[str] = set()

    def delivered(letter: Letter, error: KafkaError | None, _: object) -> None:
        if error is not None and too_large(error):
            large.add(letter.id)

    writer.begin_transaction()
    try:
        for letter in fed:
            produce(writer, topic, revived(letter.data), partial(delivered, letter))
            writer.poll(0)
        writer.send_offsets_to_transaction(list(ends), consumer.consumer_group_metadata(), _SECONDS)
        writer.commit_transaction(_SECONDS)
    except KafkaException as error:
        if error.args[0].fatal():
            raise
        writer.abort_transaction(_SECONDS)
        # What it said of each record is heard by then.
        return _Failed(error, frozenset(large))
    return None
