"""What smaller variants of the encoder cost and save: `make benchmark-compression`.

Every variant of the demo's encoder that there is, made from its training data and judged on its
validation data as the pipeline does it, TorchScript and eager PyTorch beside them; then each on
held-out mails (the test part of the campaign split), alone and with the bundle's other models. Cost
is measured in a process of its own for each, on one thread, in several rounds.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from rampart.compression.costs import SHAPES, Cost, measure_cost, shape_name
from rampart.compression.report import page
from rampart.compression.variants import compare
from rampart.compression.ways import FLOAT, REFERENCES, VARIANTS, Source
from rampart.data import splits
from rampart.data.cleaning import clean
from rampart.data.labelled import Labelled
from rampart.data.sources import SPAM_ASSASSIN
from rampart.ensembles.base import Stage
from rampart.evaluation.metrics import measure
from rampart.evaluation.scored import Scored
from rampart.inference.engine import Engine
from rampart.models.base import sigmoid
from rampart.models.encoder import EncoderModel

FOLDER = Path("build/benchmarks/compression")
_OUTPUTS = Path("build/demo/pipeline/outputs")
_SHOWN = ("f1", "recall_at_1_fpr", "pr_auc")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--network", type=Path, help="the trained encoder; the demo's by default")
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    given = parser.parse_args(arguments)
    console = Console(width=170)
    names = [FLOAT, *(name for name in given.variants if name != FLOAT)]
    messages = splits.split(corpus.messages(given.source), seed=given.seed, timed=False)
    train, validation = (Labelled.part(messages, "split", one) for one in ("train", "validation"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    others = {name: given.bundle / name for name in ("ngram", "tabular")}
    source = Source(
        given.bundle / "encoder", given.network or _newest(), train, given.seed, others, validation
    )
    comparison = compare(source, names, validation, FOLDER)
    (FOLDER / "comparison.html").write_text(page(comparison), encoding="utf-8")
    rounds = {name: [comparison.variants[place].cost] for place, name in enumerate(names)}
    for _ in range(given.rounds - 1):
        for name in names:
            rounds[name].append(measure_cost(FOLDER / name))
    for variant in comparison.variants:
        console.print(f"{variant.name}: {variant.note}", style="dim")
    console.print(_costs(rounds))
    tested = messages[messages["split"] == "test"]
    console.print(
        _quality(given.bundle, names, tested["text"].tolist(), tested["label"].to_numpy())
    )
    console.print(comparison.reason)
    console.print(f"Drawn in {FOLDER}/comparison.html")


def _newest() -> Path:
    """The network of the demo's last run that trained one."""
    found = sorted(
        _OUTPUTS.glob("*/train-attribution/attributed"), key=lambda path: path.stat().st_mtime
    )
    whole = [path for path in found if any(path.iterdir())]
    if not whole:
        raise SystemExit(f"There is no trained encoder under {_OUTPUTS}. Run `make demo` first.")
    return whole[-1]


def _costs(rounds: dict[str, list[Cost]]) -> Table:
    table = _table(
        "CPU ms a batch on one thread: median of the rounds' medians (lowest to highest)",
        "MB on disk", "MB resident", *(f"{texts} x {tokens} tokens" for texts, tokens in SHAPES),
    )  # fmt: skip
    for name, costs in rounds.items():
        resident = [cost.resident for cost in costs]
        known = [shape for shape in SHAPES if shape_name(*shape) in costs[0].time]
        times = [[cost.time[shape_name(*shape)].p50 for cost in costs] for shape in known]
        table.add_row(
            name, f"{costs[0].size:.1f}", _spread(resident, 0), *(_spread(one, 1) for one in times)
        )
    return table


def _quality(
    bundle: Path, names: Sequence[str], texts: Sequence[str], labels: NDArray[np.int8]
) -> Table:
    """Each variant alone and in the vote, on the same mails."""
    engine = Engine.load(bundle)
    logits = engine.logits(texts)
    shown = _table(f"Quality on {len(texts)} held-out mails", *_SHOWN, "verdicts changed",
                   *(f"all models: {name}" for name in _SHOWN), "verdicts changed")  # fmt: skip
    entry = next(entry for entry in engine.manifest.models if entry.name == "encoder")
    stage: Stage = engine.manifest.ensemble.stages[-1]
    before: list[NDArray[np.bool_]] = []
    cleaned = [clean(text) for text in texts]
    for name in names:
        if name in REFERENCES:
            continue
        logit = EncoderModel.load(FOLDER / name).score(cleaned, explain=False).logit
        row = []
        alone = sigmoid(entry.calibration(logit))
        together = sigmoid(stage.combine({**logits, "encoder": logit}))
        for place, (probability, limit) in enumerate(
            ((alone, entry.threshold), (together, engine.manifest.threshold))
        ):
            figures = measure(Scored.of(labels, probability, limit))
            row += [f"{figures[metric] or 0:.4f}" for metric in _SHOWN]
            if len(before) <= place:
                before.append(probability >= limit)
            row.append(str(int(np.sum((probability >= limit) != before[place]))))
        shown.add_row(name, *row)
    return shown


def _spread(values: Sequence[float], digits: int) -> str:
    middle = f"{np.median(values):.{digits}f}"
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("variant")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
