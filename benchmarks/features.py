"""What each family of features costs on real mails: `make benchmark-features`.

Reads mails of the corpus one by one, on one thread, and then all at once: a median, a 99th
percentile, and texts a second. Cleaning and splitting into words are not counted: every model of
a bundle shares them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import corpus
from rampart.data.cleaning import AlignedText, clean
from rampart.features.base import FeatureFamily
from rampart.features.linguistic import LinguisticFeatures
from rampart.features.security import SecurityFeatures

FAMILIES: tuple[Callable[[], FeatureFamily], ...] = (SecurityFeatures, LinguisticFeatures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--mails", type=int, default=1000)
    given = parser.parse_args(arguments)
    mails = corpus.messages()
    texts = [clean(text) for text in mails["text"].sample(given.mails, random_state=0)]
    for text in texts:
        text.words  # noqa: B018 - found once and kept
    table = Table(
        "family", "features", "p50 ms", "p99 ms", "mean ms", "texts/s at once",
        title=f"{len(texts)} mails, one by one and at once",
    )  # fmt: skip
    for make in FAMILIES:
        table.add_row(*_measured(make(), texts))
    Console(width=100).print(table)


def _measured(family: FeatureFamily, texts: Sequence[AlignedText]) -> Sequence[str]:
    family.readings(texts[:10])
    took = np.zeros(len(texts))
    for row, text in enumerate(track(texts, family.name, transient=True)):
        begun = time.perf_counter()
        family.read(text)
        took[row] = (time.perf_counter() - begun) * 1e3
    begun = time.perf_counter()
    family.readings(texts)
    speed = len(texts) / (time.perf_counter() - begun)
    middle, highest = np.percentile(took, [50, 99])
    return (
        family.name, str(len(family.features)),
        f"{middle:.2f}", f"{highest:.1f}", f"{took.mean():.2f}", f"{speed:.0f}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
