"""What the explanation that comes with a verdict costs, and how exact its sum is.

`make benchmark-explanations`, after `make demo`: the demo's bundle gives 10,000 verdicts, the
corpus's mails first and then the same rewritten by rule, and each has to have an explanation that
sums to its logit. Then mails are scored one by one, with and without explanations, in turns; the
limit is 3 % of the encoder's time. What SHAP and LIME take for the same mails stands beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import corpus
from rampart.data.cleaning import clean
from rampart.data.rewriting import RULES
from rampart.explain.attribution import Attribution, Budget
from rampart.explain.lime_values import lime_values
from rampart.explain.shap_values import shap_values
from rampart.inference.engine import Engine
from rampart.models.base import Floats, Model

TOP_K = 10
_CHUNK = 64
_REWRITTEN = 0.3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--verdicts", type=int, default=10_000, help="that are checked")
    parser.add_argument("--timed", type=int, default=150, help="that are timed in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--asked", type=int, default=10, help="mails that SHAP and LIME explain")
    given = parser.parse_args(arguments)
    engine = Engine.load(given.bundle, threads=1)
    engine.warm_up()
    mails = corpus.messages()
    texts = mails["text"].sample(frac=1, random_state=0).tolist()
    console = Console(width=100)
    console.print(_checked(engine, _enough(texts, given.verdicts)))
    table, alone = _cost(engine, texts[: given.timed], given.rounds)
    console.print(table)
    console.print(_asked(engine, texts[: given.asked], alone))


def _enough(texts: Sequence[str], count: int) -> list[str]:
    """So many texts, all different: as they are, then rewritten by each rule in turn."""
    found = dict.fromkeys(texts[:count])
    draw = np.random.default_rng(0)
    for rule in RULES.values():
        for text in texts:
            if len(found) >= count:
                return list(found)
            found.setdefault(rule(text, _REWRITTEN, draw))
    return list(found)


def _checked(engine: Engine, texts: Sequence[str]) -> Table:
    """Whether each verdict has an explanation, and how far sums are from logits."""
    gaps: dict[str, float] = {}
    explained = empty = 0
    for first in track(range(0, len(texts), _CHUNK), "Verdicts", transient=True):
        chunk = texts[first : first + _CHUNK]
        cleaned = [clean(text) for text in chunk]
        for name, model in engine.models.items():
            scores = model.score(cleaned)
            worst = max(
                abs(terms.bias + terms.value.sum() - logit)
                for terms, logit in zip(scores.terms or (), scores.logit, strict=True)
            )
            gaps[name] = max(gaps.get(name, 0.0), worst)
        for text, verdict in zip(chunk, engine.score(chunk, top_k=TOP_K), strict=True):
            parts = verdict.explanation
            gap = abs(parts.bias + parts.value.sum() - verdict.logit)
            gaps["verdict"] = max(gaps.get("verdict", 0.0), gap)
            explained += bool(len(parts.value))
            empty += not clean(text).text.strip() and not len(parts.value)
    table = Table(
        "", "largest |bias + sum - logit|",
        title=f"{len(texts):,} verdicts: {explained:,} name the spans that decided; "
        f"{empty} texts hold nothing to name",
    )  # fmt: skip
    for name, gap in gaps.items():
        table.add_row(name, f"{gap:.1e}")
    return table


def _asked(engine: Engine, texts: Sequence[str], alone: float) -> Table:
    """What explanations on request take, beside a verdict of `alone` milliseconds."""
    stage = engine.manifest.ensemble.stages[-1]

    def score(some: Sequence[str]) -> Floats:
        return stage.combine(engine.logits(some))

    methods: dict[str, Callable[[str], Attribution]] = {
        "SHAP, 500 evaluations": lambda text: shap_values(score, text, budget=Budget(500)),
        "LIME, 1,000 samples": lambda text: lime_values(score, text),
    }
    table = Table(
        "on request", "ms a mail, median", "lowest", "highest", "times the verdict",
        title=f"{len(texts)} mails, one thread; a verdict takes {alone:.1f} ms",
    )  # fmt: skip
    for name, method in methods.items():
        took = np.array([method(text).seconds for text in texts]) * 1e3
        table.add_row(
            name, f"{np.median(took):,.0f}", f"{took.min():,.0f}", f"{took.max():,.0f}",
            f"{np.median(took) / alone:,.0f}",
        )  # fmt: skip
    return table


def _cost(engine: Engine, texts: Sequence[str], rounds: int) -> tuple[Table, float]:
    """Milliseconds a mail, the calls with and without explanations in turns; a verdict's own."""
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
    return table, float(np.median(found["verdict alone"]))


if __name__ == "__main__":
    main()
