"""From a message being written to its verdict being read, against the load; and the capacity."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import messages
from benchmarks.streaming.harness import PARTITIONS, Feed, Stream, Tally, console, message, stream
from benchmarks.streaming.peer import answered
from broker.local import running
from rampart.cli.console import columns
from rampart.drawing import AGAINST, FOR, plot
from rampart.inference.engine import Engine
from rampart.streaming.attributes import time_of
from rampart.streaming.scoring import EngineScorer
from rampart.streaming.wire import Record, from_record

PICTURE = Path("docs/pictures/stream-latency.svg")
SCORERS: dict[str, tuple[Any, ...]] = {
    "a scorer, at least once": (1,),
    "a scorer, exactly once": (1, "--guarantee", "exactly-once"),
    "two scorers of a thread each, at least once": (2, "--threads", "1"),
}
"""Who is measured: how many of a group, and what each is told. The loads are of the first's."""
_WARM = 200
_SHARE_SECONDS = 5.0
_ALONE = "the engine alone, its batcher kept full"


def latency(
    folder: Path, bundle: Path, mails: int, seconds: float, rounds: int, loads: Sequence[float]
) -> None:
    """Capacity beside the engine's limit; latency against loads, drawn, where there are some."""
    texts: list[str] = messages()["text"].sample(mails, random_state=0).tolist()
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        found.setdefault(_ALONE, []).append(_limit(bundle, texts))
        for place, (name, (scorers, *more)) in enumerate(SCORERS.items()):
            with _scoring(folder, f"{place}-{number}", bundle, *more, scorers=scorers) as one:
                found.setdefault(name, []).append(_capacity(one, texts))
        with running(folder / f"kafka-peer-{number}") as broker:
            rate = answered(broker.address, folder, bundle, texts, _WARM, os.cpu_count() or 1)
            found.setdefault("MLServer's Kafka server", []).append(rate)
    limit = float(np.median(found[_ALONE]))
    table = columns(f"{mails} mails, {rounds} rounds", "who", ">mails/s", ">of the engine's")
    for name, rates in found.items():
        table.add_row(name, _spread(rates), f"{float(np.median(rates)) / limit:.0%}")
    console.print(table)
    capacity = float(np.median(found[next(iter(SCORERS))]))
    if loads:
        _against(folder, bundle, texts, capacity, seconds, loads)


def _against(
    folder: Path,
    bundle: Path,
    texts: Sequence[str],
    capacity: float,
    seconds: float,
    loads: Sequence[float],
) -> None:
    table = columns("Latency against load", ">load", ">mails/s", ">p50 ms", ">p95", ">p99", ">most")
    points = []
    for load in loads:
        with _scoring(folder, f"load-{load}", bundle) as one:
            taken = _latencies(one, texts, load * capacity, seconds) * 1e3
        p50, p95, p99 = (float(np.quantile(taken, at)) for at in (0.5, 0.95, 0.99))
        points.append((load, p50, p99))
        table.add_row(
            f"{load:.0%}", f"{load * capacity:.0f}", f"{p50:.0f}", f"{p95:.0f}", f"{p99:.0f}",
            f"{taken.max():.0f}",
        )  # fmt: skip
    console.print(table)
    with plot("From a message being written to its verdict being read") as (axes, svg):
        shares = [load * 100 for load, _, _ in points]
        axes.plot(shares, [p50 for _, p50, _ in points], "o-", color=AGAINST, label="median")
        axes.plot(shares, [p99 for _, _, p99 in points], "s--", color=FOR, label="99 in 100")
        axes.set_xlabel(f"load, % of {capacity:.0f} mails a second")
        axes.set_ylabel("milliseconds")
        axes.set_ylim(bottom=0)
        axes.legend()
    PICTURE.write_text(svg.getvalue(), encoding="utf-8")
    console.print(f"\nDrawn in {PICTURE}.")


def _limit(bundle: Path, texts: Sequence[str]) -> float:
    scorer = EngineScorer(Engine.load(bundle), calls=64)
    begun = time.perf_counter()
    pending = []
    for text in texts:
        pending.append(scorer.submit([text]))
        if len(pending) >= scorer.calls:
            pending.pop(0).result()
    for future in pending:
        future.result()
    taken = time.perf_counter() - begun
    scorer.close()
    return len(texts) / taken


def _capacity(one: Stream, texts: Sequence[str]) -> float:
    feed = Feed(one.connection, one.topics.received)
    # What is there before counts not: the group is joined, and everything is warm.
    feed.all(message(texts[number % len(texts)], f"w-{number}") for number in range(_WARM))
    tally = Tally(one.connection, [one.topics.verdicts])
    tally.until(_WARM)
    begun = time.perf_counter()
    feed.all(message(text, f"m-{number}") for number, text in enumerate(texts))
    tally.until(_WARM + len(texts), 600)
    taken = time.perf_counter() - begun
    tally.close()
    return len(texts) / taken


def _latencies(
    one: Stream, texts: Sequence[str], rate: float, seconds: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds from each message's own time to its verdict being read, at a Poisson rate."""
    found: list[float] = []
    wanted = round(rate * seconds)

    def keep(verdict: object) -> None:
        now = datetime.now(UTC)
        told = from_record(Record(None, verdict.value(), verdict.headers()))  # type: ignore[attr-defined]
        sent = sent_at.get(str(told["id"]))
        if sent is not None:
            found.append((now - sent).total_seconds())

    sent_at: dict[str, datetime] = {}
    tally = Tally(one.connection, [one.topics.verdicts], keep=keep)
    feed = Feed(one.connection, one.topics.received)
    feed.all(message(texts[number], f"w-{number}") for number in range(100))
    tally.until(100)
    draw = random.Random(0)

    def write() -> None:
        due = time.perf_counter()
        for number in range(wanted):
            due += draw.expovariate(rate)
            while (left := due - time.perf_counter()) > 0:
                time.sleep(min(left, 0.002))
            record = message(texts[number % len(texts)], f"m-{number}")
            sent = time_of(from_record(record))
            if sent is not None:
                sent_at[f"m-{number}"] = sent
            feed.send(record)
        feed.flush()

    thread = threading.Thread(target=write)
    thread.start()
    deadline = time.monotonic() + seconds + 120
    while len(found) < wanted and time.monotonic() < deadline:
        tally.read(0.002)
    thread.join()
    tally.close()
    return np.array(found)


@contextmanager
def _scoring(
    folder: Path, name: str, bundle: Path, *more: str, scorers: int = 1
) -> Iterator[Stream]:
    """Scorers of one group, each with its share of the partitions, on a broker of their own."""
    arguments = ["--bundle", str(bundle), *more]
    with (
        running(folder / f"kafka-{name}") as broker,
        stream(broker.address, name, folder / name, arguments, partitions=PARTITIONS) as one,
    ):
        for _ in range(scorers):
            one.start()
        time.sleep(_SHARE_SECONDS * (scorers - 1))
        yield one


def _spread(values: Sequence[float]) -> str:
    return f"{np.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
