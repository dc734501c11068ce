"""What the explanation that comes with a verdict costs, and how exact its sum is.

`make benchmark-explanations`, after `make demo`: scores real mails of the corpus one by one with
the demo's bundle, with and without explanations, in turns. The limit is 3 % of the encoder's time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rampart.data.cleaning import clean
from rampart.data.preparation import prepare
from rampart.data.sources import SPAM_ASSASSIN, read
from rampart.inference.engine import Engine
from rampart.models.base import Model
from rampart.settings import settings

TOP_K = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--mails", type=int, default=1000, help="whose sums are checked")
    parser.add_argument("--timed", type=int, default=150, help="that are timed in each round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    engine = Engine.load(given.bundle, threads=1)
    engine.warm_up()
    mails = prepare(read(SPAM_ASSASSIN, cache=settings().cache_dir).rows).rows
    texts = mails.sample(given.mails, random_state=0)["text"].tolist()
    console = Console(width=100)
    console.print(_exactness(engine, texts))
    console.print(_cost(engine, texts[: given.timed], given.rounds))


def _exactness(engine: Engine, texts: Sequence[str]) -> Table:
    table = Table("", "largest |bias + sum - logit|", title=f"Sums on {len(texts)} real mails")
    cleaned = [clean(text) for text in texts]
    for name, model in engine.models.items():
        scores = model.score(cleaned)
        gaps = [
            abs(terms.bias + terms.value.sum() - logit)
            for terms, logit in zip(scores.terms or (), scores.logit, strict=True)
        ]
        table.add_row(name, f"{max(gaps):.1e}")
    worst = max(
        abs(verdict.explanation.bias + verdict.explanation.value.sum() - verdict.logit)
        for verdict in engine.score(texts, top_k=TOP_K)
    )
    table.add_row("verdict", f"{worst:.1e}")
    return table


def _cost(engine: Engine, texts: Sequence[str], rounds: int) -> Table:
    """Milliseconds a mail, the calls with and without explanations in turns."""
    cleaned = [clean(text) for text in texts]

    def model(which: Model, *, explain: bool) -> Callable[[int], object]:
        return lambda row: which.score([cleaned[row]], explain=explain)

    calls: dict[str, Callable[[int], object]] = {}
    for name, which in engine.models.items():
        calls[f"{name} alone"] = model(which, explain=False)
        calls[f"{name} with terms"] = model(which, explain=True)
    calls["verdict alone"] = lambda row: engine.score([texts[row]], explain="none")
    calls["verdict explained"] = lambda row: engine.score([texts[row]], top_k=TOP_K)
    found = {name: np.zeros(rounds) for name in calls}
    for turn in range(rounds):
        took = {name: np.zeros(len(texts)) for name in calls}
        for row in range(len(texts)):
            for name, call in calls.items():
                begun = time.perf_counter()
                call(row)
                took[name][row] = time.perf_counter() - begun
        for name, values in took.items():
            found[name][turn] = values.mean() * 1e3
    table = Table(
        "", "ms a mail, median of rounds", "lowest", "highest",
        title=f"Cost, one thread, {len(texts)} mails one by one, {rounds} rounds",
    )  # fmt: skip
    for name, values in found.items():
        table.add_row(
            name, f"{np.median(values):.2f}", f"{values.min():.2f}", f"{values.max():.2f}"
        )
    extra = found["verdict explained"] - found["verdict alone"]
    share = extra / found["encoder alone"]
    table.add_row(
        "extra, as a share of the encoder",
        f"{np.median(share):.1%}", f"{share.min():.1%}", f"{share.max():.1%}",
    )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
