"""Records of one partition on their way: read, answered, written, and only then marked as read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from rampart.streaming.letters import Passage
from rampart.streaming.wire import Record

Place = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a record becomes.

    Attributes:
        topic: that it is written to.
        record: it.
        kind: verdict, retry, or the reason of a dead letter.
    """

    topic: str
    record: Record
    kind: str


@dataclass(slots=True, eq=False)
class Entry:
    """A record between being read and being marked as read.

    Attributes:
        lane: its partition's.
        offset: there.
        record: as it was read.
        size: bytes that it takes in memory, about.
        timestamp: of the record.
        taken: when it was read, by the monotonic clock.
        past: what it has been through.
        outages: that it was under way in.
        output: what becomes of it, once that is known.
        durable: whether that is written.
    """

    lane: Lane
    offset: int
    record: Record
    size: int
    timestamp: datetime
    taken: float
    past: Passage
    outages: int = 0
    output: Output | None = None
    durable: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """One partition that is read here; what comes out of it keeps its order.

    Attributes:
        place: topic and partition.
        entries: read, and not written, in the order of their offsets.
        written: handed over to be written, in the same order.
        next_offset: behind all that is durable; None where nothing is.
        marked: the offset that was marked as read last.
        wake: seconds since 1970 when its next record is due, where it is not.
        rewind: the offset of that record, which was read and is not held.
        paused: whether the broker is asked for no more of it; None where nobody knows, for a
            client keeps it paused that comes back after it was lost.
        gone: whether somebody else reads it now.
    """

    place: Place
    entries: deque[Entry] = field(default_factory=deque)
    written: deque[Entry] = field(default_factory=deque)
    next_offset: int | None = None
    marked: int | None = None
    wake: float = 0.0
    rewind: int | None = None
    paused: bool | None = None
    gone: bool = False

    @property
    def unmarked(self) -> bool:
        """Whether there is something to mark as read."""
        return self.next_offset is not None and self.next_offset != self.marked

    def settle(self) -> list[Entry]:
        """Take off what is durable, as far as nothing before it is not."""
        settled = []
        while self.written and self.written[0].durable:
            entry = self.written.popleft()
            self.next_offset = entry.offset + 1
            settled.append(entry)
        return settled

    def take_back(self) -> None:
        """What was handed over was not written after all: it is to be written again."""
        self.entries.extendleft(reversed(self.written))
        self.written.clear()

    def pass_over(self, offset: int) -> None:
        """What stands before the offset was written and marked, it turned out."""
        while self.entries and self.entries[0].offset < offset:
            entry = self.entries.popleft()
            entry.durable = True
            self.written.append(entry)


@dataclass(slots=True)
class Load:
    """What is held in memory, counted as it comes and goes."""

    records: int = 0
    bytes: int = 0

    def add(self, entry: Entry) -> None:
        """An entry came."""
        self.records += 1
        self.bytes += entry.size

    def drop(self, entry: Entry) -> None:
        """An entry went."""
        self.records -= 1
        self.bytes -= entry.size
