"""How finding campaigns grows with the number of mails: `python -m benchmarks.campaigns`.

Writes mails of about 150 words whose campaigns are known, most of one mail, one of a tenth of all;
copies differ in a few words, and every mail has a subject of its own, so that the text alone can
unite them. Prints what half of the mails cost and what all of them do: twice as much, not four
times. The peak is the whole process's, with the mails in it; needs a Unix.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from rampart.data.campaigns import assign_campaigns

WORDS = 150
CHANGED = 5  # Words in a copy: some nine tenths of its 3-grams stay.
VOCABULARY = 20_000
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
GIANT = 10  # One campaign holds the mails' number over this.


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaigns", description=__doc__)
    parser.add_argument("--mails", type=int, default=100_000)
    given = parser.parse_args(arguments)
    table = Table("mails", "seconds", "campaigns written", "campaigns found", "peak MB")
    for count in (given.mails // 2, given.mails):
        messages = _mails(count)
        begun = time.monotonic()
        found = assign_campaigns(messages)["campaign"].nunique()
        seconds = time.monotonic() - begun
        written = messages["campaign"].nunique()
        table.add_row(
            f"{count:,}", f"{seconds:.1f}", f"{written:,}", f"{found:,}", f"{_peak_megabytes():.0f}"
        )
    Console().print(table)


def _mails(count: int) -> pd.DataFrame:
    """As many mails as asked for, with the campaign that each was written for."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(3, 10, size=VOCABULARY)
    words = np.array(["".join(draw.choice(LETTERS, size=length)) for length in lengths])
    # Words as frequent as in a language: the nth most frequent is taken 1/n times as often.
    often = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    sizes = [count // GIANT]
    while sum(sizes) < count:
        sizes.append(min(int(draw.zipf(2.2)), count - sum(sizes)))
    texts, campaigns = [], []
    for campaign, size in enumerate(sizes):
        length = int(draw.integers(WORDS * 2 // 3, WORDS * 4 // 3))
        original = np.searchsorted(often, draw.random(length) * often[-1])
        for _ in range(size):
            copy = original.copy()
            copy[draw.integers(0, length, CHANGED)] = draw.integers(0, VOCABULARY, CHANGED)
            texts.append(" ".join(words[copy]))
            campaigns.append(f"campaign-{campaign}")
    subjects = words[draw.integers(0, VOCABULARY, size=(count, 5))]
    mails = pd.DataFrame({"clean": texts, "campaign": campaigns})
    mails["subject"] = [" ".join(subject) for subject in subjects]
    mails = mails.sample(frac=1, random_state=0, ignore_index=True)
    return mails.assign(id=[f"mail-{number}" for number in range(count)])


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
