"""How faithful explanations are and what they cost, by method: `make benchmark-faithfulness`.

Held-out texts (the test part of the campaign split with the bundle's seed) are explained by what
comes with the verdict, by SHAP, LIME, occlusion, integrated gradients where the trained network is
at hand, and by values drawn at random; then the words that each holds for the strongest are taken
away. Once for the verdict, once for the encoder alone. What was measured is kept beside the
pictures, so that a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from benchmarks import corpus
from benchmarks.faithfulness import showing
from benchmarks.faithfulness.measuring import (
    ENCODER,
    KEPT,
    VERDICT,
    Gradients,
    Measured,
    Scorer,
    measure,
    methods,
)
from rampart.data import splits
from rampart.data.sources import SPAM_ASSASSIN
from rampart.explain.attribution import Attribution, words
from rampart.inference.engine import Engine

FOLDER = Path("build/benchmarks/faithfulness")
_FEWEST_WORDS = 10
_SHOWN = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faithfulness", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--network", type=Path, help="the trained encoder, for gradients")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--edited", type=int, default=10, help="texts that are edited, too")
    parser.add_argument("--evaluations", type=int, default=250, help="that a method may spend")
    parser.add_argument("--targets", nargs="+", choices=[VERDICT, ENCODER], default=None)
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the draws")
    given = parser.parse_args(arguments)
    console = Console(width=160)
    engine = Engine.load(given.bundle)
    engine.warm_up()
    texts = _texts(given.source, given.texts, given.seed)
    gradients = Gradients(given.network) if given.network else None
    kept = FOLDER / f"{engine.manifest.id[:12]}-{given.source}-{given.evaluations}-{given.seed}"
    kept.mkdir(parents=True, exist_ok=True)
    found: dict[str, showing.Summaries] = {}
    shown: dict[str, tuple[str, list[Attribution]]] = {}
    for target in given.targets or (VERDICT, ENCODER):
        explains = methods(
            engine, target, evaluations=given.evaluations, seed=given.seed, gradients=gradients
        )
        measured = _known(kept / f"{target}.jsonl")
        scorer = Scorer(engine)
        for row in track(range(len(texts)), target, transient=True):
            if row in measured and row >= _SHOWN:
                continue
            scorer.forget()
            text, campaign = texts["text"].iloc[row], str(texts["campaign"].iloc[row])
            fresh, explained = measure(
                scorer, target, explains, text,
                row=row, campaign=campaign, seed=given.seed, edits=row < given.edited,
            )  # fmt: skip
            if row not in measured:
                measured[row] = fresh
                _keep(kept / f"{target}.jsonl", fresh)
            if row < _SHOWN:
                label = engine.manifest.labels[int(texts["label"].iloc[row])]
                shown[f"{target}, text {row + 1}, {label}"] = text, explained
        rows = [measured[row] for row in sorted(measured) if row < len(texts)]
        found[target] = showing.summaries(rows)
        title = f"{given.source}, {target}: {len(rows)} held-out texts"
        console.print(showing.methods_table(title, found[target]))
        console.print(showing.against_table("What comes with the verdict, against", rows))
        console.print(showing.agreement_table("Rank correlation / strongest ten shared", rows))
        if stable := showing.stability_table("Rank correlation after a harmless edit", rows):
            console.print(stable)
    page = kept / "faithfulness.html"
    page.write_text(showing.page("Faithfulness of explanations", found, shown), encoding="utf-8")
    console.print(f"Pictures: {page}")


def _texts(source: str, count: int, seed: int) -> pd.DataFrame:
    """Held-out texts with words enough to take some away, drawn with the seed."""
    tested = splits.split(corpus.messages(source), seed=seed, timed=False)
    tested = tested[tested["split"] == "test"].sample(frac=1, random_state=seed)
    long = [row for row, text in enumerate(tested["text"]) if len(words(text)) >= _FEWEST_WORDS]
    return tested.iloc[long[:count]]


def _known(path: Path) -> dict[int, Measured]:
    """What an earlier run has measured, by the text's number."""
    if not path.exists():
        return {}
    rows = [KEPT.validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row.row: row for row in rows}


def _keep(path: Path, measured: Measured) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(measured.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
