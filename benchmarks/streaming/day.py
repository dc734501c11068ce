"""A day's messages replayed at speed: whether memory stays where it is, and what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil

from benchmarks.streaming.analysed import Analytics, rows
from benchmarks.streaming.faults import made_up
from benchmarks.streaming.harness import SOURCE, Feed, Tally, stream
from broker.local import running
from rampart.streaming.events import RECEIVED, Received
from rampart.streaming.wire import event, to_record

_HOURS = 24
# A client reads some partitions of a backlog faster than others, which adds up to hours.
_LATENESS = 90_000.0
_SAMPLE_SECONDS = 0.5
_ROWS_SECONDS = 1_800.0
_CATEGORIES = ("inbound", "list", "outbound")


@dataclass
class Memory:
    """What a process holds, in MB, looked at twice a second."""

    process: psutil.Process
    samples: list[float] = field(default_factory=list)

    def tenths(self) -> tuple[float, float, float]:
        """The median of the second tenth of its time and of the last one, and the most."""
        size = max(1, len(self.samples) // 10)
        early, late = self.samples[size : 2 * size], self.samples[-size:]
        return float(np.median(early)), float(np.median(late)), max(self.samples)


@dataclass(frozen=True)
class Day:
    """What a replay gave.

    Attributes:
        verdicts: that there are, of as many messages.
        seconds: from the first message to the last row of the table.
        windows: that were closed.
        late: messages that came too late for theirs.
        scorer: its memory.
        analytics: theirs.
    """

    verdicts: int
    seconds: float
    windows: int
    late: int
    scorer: Memory
    analytics: Memory


def replay(folder: Path, bundle: Path, count: int) -> Day:
    """Write a day of messages at once, and wait until all of them are verdicts and rows."""
    begin = datetime.now(UTC) - timedelta(hours=_HOURS)
    arguments = ["--bundle", str(bundle), "--threads", "1"]
    with (
        running(folder / "kafka") as broker,
        stream(broker.address, "day", folder / "logs", arguments, partitions=12) as one,
    ):
        # In batches as small as a day's are.
        feed = Feed(one.connection, one.topics.received, batch_num_messages=20)
        for number in range(count):
            at = begin + timedelta(hours=_HOURS * number / count)
            data = Received(text=made_up(number), category=_CATEGORIES[number % 3])
            told = event(RECEIVED, data, id=f"m-{number}", source=SOURCE, time=at)
            feed.send(to_record(told, f"m-{number}"))
        feed.flush()
        begun = time.perf_counter()
        scorer = one.start()
        analytics = Analytics(one, folder, "--lateness-seconds", str(_LATENESS))
        with (
            analytics.running() as process,
            _watched(scorer.process.pid) as of_scorer,
            _watched(process.pid) as of_analytics,
        ):
            verdicts = Tally(one.connection, [one.topics.verdicts])
            verdicts.until(count, 1_800)
            deadline = time.monotonic() + _ROWS_SECONDS
            while rows(folder / "table") < count and time.monotonic() < deadline:
                time.sleep(1)
            seconds = time.perf_counter() - begun
            late = round(analytics.counted("rampart_analytics_late_total"))
        windows = Tally(one.connection, [one.topics.windows])
        windows.rest(3)
        closed = sum(windows.keys.values())
        for tally in (verdicts, windows):
            tally.close()
    return Day(count, seconds, closed, late, of_scorer, of_analytics)


@contextmanager
def _watched(pid: int) -> Iterator[Memory]:
    memory, stop = Memory(psutil.Process(pid)), Event()

    def look() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            memory.samples.append(memory.process.memory_info().rss / 1e6)

    thread = Thread(target=look)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()
