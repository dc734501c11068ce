"""What a stream costs and what it loses: `make benchmark-stream`.

`latency`: from a message being written to its verdict being read, against the load, broker and all
on this machine's cores, with a picture; and the capacity beside the engine's own limit.

`faults`: every message of many counted while scorers are killed, come and go, the broker is killed
and the network is cut, for either guarantee.

`day`: a day's messages replayed at speed through scorer and analytics, and what memory they take.

`poison`: a hundredth of all messages cannot be scored, in ten ways; what becomes of them, and what
that costs the others.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.corpus import messages
from benchmarks.streaming.day import replay
from benchmarks.streaming.faults import ALWAYS_ONCE, FAULTS, Trial, made_up
from benchmarks.streaming.harness import Feed, Stream, Tally, message, stream
from benchmarks.streaming.poison import KINDS, poison
from broker.local import running
from rampart.cli.console import columns
from rampart.drawing import AGAINST, FOR, plot
from rampart.inference.engine import Engine
from rampart.streaming.attributes import time_of
from rampart.streaming.events import DeadLetter
from rampart.streaming.scoring import EngineScorer
from rampart.streaming.wire import Record, data_of, from_record

BUNDLE = Path("build/demo/bundle")
PICTURE = Path("docs/pictures/stream-latency.svg")
LOADS = (0.25, 0.5, 0.75, 0.9)
_PARTS = ("latency", "faults", "poison", "day")
_GUARANTEES = ("at-least-once", "exactly-once")
console = Console(width=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="that scores")
    parser.add_argument("--mails", type=int, default=3_000, help="of the corpus, for latency")
    parser.add_argument("--seconds", type=float, default=40.0, help="at each load")
    parser.add_argument("--count", type=int, default=100_000, help="messages for faults and poison")
    parser.add_argument("--rounds", type=int, default=3, help="of capacity and limit")
    parser.add_argument("--faults", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if "latency" in given.parts:
            latency(folder, given.bundle, given.mails, given.seconds, given.rounds)
        if "faults" in given.parts:
            faults(folder, given.count, given.faults)
        if "poison" in given.parts:
            poisoned(folder, given.count)
        if "day" in given.parts:
            day(folder, given.count)


# --- latency ----------------------------------------------------------------------------------


def latency(folder: Path, bundle: Path, mails: int, seconds: float, rounds: int) -> None:
    """Capacity beside the engine's limit, and latency against the load."""
    texts: list[str] = messages()["text"].sample(mails, random_state=0).tolist()
    limits, capacities = [], []
    for number in range(rounds):
        limits.append(_limit(bundle, texts))
        with _scoring(folder, f"capacity-{number}", bundle) as one:
            capacities.append(_capacity(one, texts))
    capacity = float(np.median(capacities))
    share = capacity / float(np.median(limits))
    console.print(
        f"The engine alone, its batcher kept full: {_spread(limits)} mails a second.\n"
        f"The scorer with its broker on the same cores: {_spread(capacities)}, {share:.0%} of it.\n"
    )
    table = columns("Latency against load", ">load", ">mails/s", ">p50 ms", ">p95", ">p99", ">most")
    points = []
    for load in LOADS:
        with _scoring(folder, f"load-{load}", bundle) as one:
            found = _latencies(one, texts, load * capacity, seconds) * 1e3
        p50, p95, p99 = (float(np.quantile(found, at)) for at in (0.5, 0.95, 0.99))
        points.append((load, p50, p99))
        table.add_row(
            f"{load:.0%}", f"{load * capacity:.0f}", f"{p50:.0f}", f"{p95:.0f}", f"{p99:.0f}",
            f"{found.max():.0f}",
        )  # fmt: skip
    console.print(table)
    with plot("From a message being written to its verdict being read") as (axes, svg):
        loads = [load * 100 for load, _, _ in points]
        axes.plot(loads, [p50 for _, p50, _ in points], "o-", color=AGAINST, label="median")
        axes.plot(loads, [p99 for _, _, p99 in points], "s--", color=FOR, label="99 in 100")
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
    warm = 200
    feed.all(message(texts[number % len(texts)], f"w-{number}") for number in range(warm))
    tally = Tally(one.connection, [one.topics.verdicts])
    tally.until(warm)
    begun = time.perf_counter()
    feed.all(message(text, f"m-{number}") for number, text in enumerate(texts))
    tally.until(warm + len(texts), 600)
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
def _scoring(folder: Path, name: str, bundle: Path) -> Iterator[Stream]:
    with (
        running(folder / f"kafka-{name}") as broker,
        stream(broker.address, name, folder / name, ["--bundle", str(bundle)]) as one,
    ):
        one.start()
        yield one


# --- faults and poison ------------------------------------------------------------------------


def faults(folder: Path, count: int, names: Sequence[str]) -> None:
    """Lost and repeated messages while things break, for either guarantee."""
    bundle = _quick(folder)
    table = columns(
        f"{count} messages each", "what breaks", "guarantee", ">times", ">lost", ">repeated",
        ">seconds",
    )  # fmt: skip
    for name in names:
        for guarantee in _GUARANTEES[1:] if name in ALWAYS_ONCE else _GUARANTEES:
            trial = Trial(folder / f"{name}-{guarantee}", bundle, guarantee, count)
            begun = time.monotonic()
            found = FAULTS[name](trial)
            told = [found.times, found.lost, found.repeated, round(time.monotonic() - begun)]
            table.add_row(name, guarantee, *map(str, told))
            console.print(f"{name}, {guarantee}: {found.lost} lost, {found.repeated} repeated")
    console.print(table)


def poisoned(folder: Path, count: int) -> None:
    """What becomes of a hundredth that cannot be scored, and what it costs the others."""
    bundle = _quick(folder)
    rates: dict[int, list[float]] = {}
    for bad in (0, 1_000, 0, 1_000):
        every = count // bad if bad else count + 1
        name = f"poison-{sum(map(len, rates.values()))}-{bad}"
        reasons: Counter[tuple[str, str]] = Counter()
        with (
            running(folder / name) as broker,
            stream(broker.address, name, folder / name, ["--bundle", str(bundle)]) as one,
        ):
            feed = Feed(one.connection, one.topics.received)
            kinds = list(KINDS)
            for number in range(count):
                if number % every == every - 1:
                    kind = kinds[number // every % len(kinds)]
                    feed.send(poison(kind, f"{kind}/{number}"))
                else:
                    feed.send(message(made_up(number), f"m-{number}"))
            feed.flush()
            begun = time.perf_counter()
            one.start()
            tally = Tally(one.connection, [one.topics.verdicts])
            tally.until(count - bad, 900)
            rates.setdefault(bad, []).append((count - bad) / (time.perf_counter() - begun))

            def keep(letter: object, reasons: Counter[tuple[str, str]] = reasons) -> None:
                record = Record(None, letter.value(), letter.headers())  # type: ignore[attr-defined]
                data = data_of(from_record(record), DeadLetter)
                reasons[(data.key or b"").decode().partition("/")[0], data.reason] += 1

            letters = Tally(one.connection, [one.topics.dead_letters], keep=keep)
            letters.rest()
            letters.close()
            tally.close()
        if bad:
            right = sum(found for (sent, said), found in reasons.items() if sent == said)
            console.print(
                f"{bad} of {count} cannot be scored: {sum(reasons.values())} dead letters, "
                f"{right} with the right reason, {count - bad - len(tally.keys)} good ones lost"
            )
    clean, dirty = (float(np.median(rates[bad])) for bad in (0, 1_000))
    console.print(
        f"Good messages a second: {clean:.0f} without, {dirty:.0f} with: {dirty / clean:.1%}"
    )


def day(folder: Path, count: int) -> None:
    """A day replayed: memory at its beginning and its end."""
    found = replay(folder / "day", _quick(folder), count)
    console.print(
        f"A day of {found.verdicts} messages in {found.seconds:.0f} s: {found.windows} windows, "
        f"{found.late} late."
    )
    for name, memory in (("scorer", found.scorer), ("analytics", found.analytics)):
        early, late, most = memory.tenths()
        console.print(
            f"The {name} held {early:.0f} MB in the second tenth of its time, {late:.0f} in the "
            f"last, {most:.0f} at the most."
        )


def _quick(folder: Path) -> Path:
    """A bundle of n-grams on made-up texts: what is counted here is messages, not spam."""
    from rampart.bundle.build import assemble
    from rampart.data.labelled import Labelled
    from rampart.training.ngram import fit_ngram

    target = folder / "bundle"
    if not target.exists():
        texts = [made_up(number) for number in range(400)]
        labels = np.array([int("prize" in text) for text in texts], dtype=np.int8)
        fit_ngram(texts, labels).save(folder / "ngram")
        assemble(target, {"ngram": folder / "ngram"}, Labelled(texts, labels, texts))
    return target


def _spread(values: Sequence[float]) -> str:
    return f"{np.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main()
