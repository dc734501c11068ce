"""Generated texts through every extractor and every picture: `make fuzz`.

Prints, for each, how many texts went through, how many raised or broke what has to hold, the
slowest text, and how time grows with the length of a line of one thing (the exponent: 1 is linear,
2 quadratic). Texts that fail are named by seed and number, and the command ends with 1. Where the
time goes to models that are others' (SentenceTransformers, Presidio) a part of the texts is read:
every fifth batch for what they mean, every tenth for what they tell of people. Plots hold the words
of fifty texts each.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from rampart.features.linguistic import LinguisticFeatures
from rampart.features.privacy import PrivacyFeatures
from rampart.features.security import SecurityFeatures
from rampart.features.semantic import SemanticFeatures
from tests.fuzz.checks import Check, every, growth
from tests.fuzz.texts import PIECES, text

BATCH = 50
RARELY = {"semantic": 5, "privacy": 10}
_TOLD_EVERY = 5_000
UNITS = (
    "<", "&", "a@", "http://a.", "<a href='", "x", "A ", "\u0301", "\u202e", "$", "1-", "<!--",
    "\n> ",
)  # fmt: skip
LENGTHS = (4_000, 8_000, 16_000, 32_000, 64_000)
# Above it the time is no longer explained by a line and what sorting adds to it.
STEEPEST = 1.6


@dataclass
class Tally:
    """What came of one check."""

    texts: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.texts += other.texts
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.failures += other.failures


@cache
def _checks() -> dict[str, Check]:
    import torch

    torch.set_num_threads(1)
    semantic = SemanticFeatures(campaigns=2)
    semantic.fit(["win money now", "see you at ten"], [1, 0])
    families = (SecurityFeatures(), LinguisticFeatures(), semantic, PrivacyFeatures())
    return every({family.name: family for family in families})


def _batch(seed: int, first: int, count: int) -> dict[str, Tally]:
    """Run the texts numbered from `first`; a batch that fails is taken apart."""
    warnings.simplefilter("error")
    found = {}
    numbers = range(first, first + count)
    for name, check in _checks().items():
        if first // BATCH % RARELY.get(name, 1):
            continue
        texts = {number: text(seed, number) for number in numbers}
        tally = Tally(texts=len(texts))
        begun = time.perf_counter()
        try:
            check(list(texts.values()))
        except Exception:  # noqa: BLE001 - whatever a text brings about is what is looked for
            for number, one in texts.items():
                try:
                    check([one])
                except Exception:  # noqa: BLE001
                    last = traceback.format_exc().strip().splitlines()[-1]
                    tally.failures.append(f"{name}: seed {seed}, text {number}: {last}")
            tally.failures = tally.failures or [f"{name}: seed {seed}, {numbers}: only together"]
        tally.seconds = time.perf_counter() - begun
        tally.slowest = tally.seconds / len(texts)
        found[name] = tally
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate, check, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = parser.parse_args(arguments)
    console = Console(width=120)
    watched = console.is_terminal
    tallies: dict[str, Tally] = {}
    firsts = range(0, given.texts, BATCH)
    counts = [min(BATCH, given.texts - first) for first in firsts]
    with (
        Progress(console=console, transient=True, disable=not watched) as bar,
        ProcessPoolExecutor(given.jobs) as pool,
    ):
        task = bar.add_task("Texts", total=given.texts)
        done = 0
        for count, found in zip(
            counts, pool.map(_batch, [given.seed] * len(counts), firsts, counts), strict=True
        ):
            for name, tally in found.items():
                tallies.setdefault(name, Tally()).add(tally)
                for failure in tally.failures:
                    console.print(failure, markup=False)
            bar.advance(task, count)
            done += count
            if not watched and done % _TOLD_EVERY == 0:
                failed = sum(len(tally.failures) for tally in tallies.values())
                console.print(f"{done:,} of {given.texts:,} texts, {failed} failures", style="dim")
    steepest = {name: _steepest(check) for name, check in _checks().items()}
    console.print(_table(tallies, steepest, given.seed))
    failures = [failure for tally in tallies.values() for failure in tally.failures]
    steep = [name for name, (exponent, _) in steepest.items() if exponent > STEEPEST]
    return 1 if failures or steep else 0


def _steepest(check: Check) -> tuple[float, str]:
    """The largest exponent over the units, and its unit."""
    found = [(growth(check, unit, LENGTHS, time.process_time), unit) for unit in UNITS]
    return max(found)


def _table(tallies: dict[str, Tally], steepest: dict[str, tuple[float, str]], seed: int) -> Table:
    table = Table(
        "", "texts", "failed", "mean ms", "slowest batch, ms a text", "steepest growth", "on",
        title=f"Generated texts of {len(PIECES)} pieces, seed {seed}",
    )  # fmt: skip
    for name, tally in tallies.items():
        exponent, unit = steepest[name]
        table.add_row(
            name, f"{tally.texts:,}", str(len(tally.failures)),
            f"{1e3 * tally.seconds / tally.texts:.2f}", f"{1e3 * tally.slowest:.1f}",
            f"{exponent:.2f}", ascii(unit),
        )  # fmt: skip
    return table


if __name__ == "__main__":
    sys.exit(main())
