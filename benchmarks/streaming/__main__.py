"""What a stream costs and what it loses: `make benchmark-stream`.

`latency`: from a message being written to its verdict being read, against the load, broker and all
on this machine's cores, with a picture; and the capacity beside the engine's own limit and beside
MLServer's Kafka server with the same engine.

`faults`: every message of many counted while scorers are killed, come and go, the broker is killed,
the network is cut, the predictor stands still and the analytics' disk is full. The last needs root.

`day`: a day's messages replayed at speed through scorer and analytics, and what memory they take.

`poison`: a hundredth of all messages cannot be scored, in ten ways; what becomes of them, and what
that costs the others.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.streaming.day import replay
from benchmarks.streaming.faults import ALWAYS_ONCE, FAULTS, Trial, quick
from benchmarks.streaming.harness import GUARANTEES, console
from benchmarks.streaming.latency import latency
from benchmarks.streaming.poison import poisoned
from rampart.cli.console import columns

LOADS = (0.25, 0.5, 0.75, 0.9)
BUNDLE = Path("build/demo/bundle")
_PARTS = ("latency", "faults", "poison", "day")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="that scores")
    parser.add_argument("--mails", type=int, default=3_000, help="of the corpus, for latency")
    parser.add_argument("--seconds", type=float, default=40.0, help="at each load")
    parser.add_argument("--loads", type=float, nargs="*", default=LOADS, help="of the capacity")
    parser.add_argument("--count", type=int, default=100_000, help="messages for faults and poison")
    parser.add_argument("--rounds", type=int, default=3, help="of capacity and limit")
    parser.add_argument("--faults", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if "latency" in given.parts:
            latency(folder, given.bundle, given.mails, given.seconds, given.rounds, given.loads)
        if "faults" in given.parts:
            faults(folder, given.count, given.faults)
        if "poison" in given.parts:
            poisoned(folder, given.count)
        if "day" in given.parts:
            day(folder, given.count)


def faults(folder: Path, count: int, names: Sequence[str]) -> None:
    """Lost and repeated messages while things break, for either guarantee."""
    bundle = quick(folder)
    table = columns(
        f"{count} messages each", "what breaks", "guarantee", ">times", ">lost", ">repeated",
        ">seconds",
    )  # fmt: skip
    for name in names:
        for guarantee in GUARANTEES[1:] if name in ALWAYS_ONCE else GUARANTEES:
            trial = Trial(folder / f"{name}-{guarantee}", bundle, guarantee, count)
            begun = time.monotonic()
            found = FAULTS[name](trial)
            told = [found.times, found.lost, found.repeated, round(time.monotonic() - begun)]
            table.add_row(name, guarantee, *map(str, told))
            console.print(f"{name}, {guarantee}: {found.lost} lost, {found.repeated} repeated")
    console.print(table)


def day(folder: Path, count: int) -> None:
    """A day replayed: memory at its beginning and its end."""
    found = replay(folder / "day", quick(folder), count)
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


if __name__ == "__main__":
    main()
