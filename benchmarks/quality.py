"""What the models are worth on the SpamAssassin corpus: `make benchmark-quality`.

Five campaign splits and the time split of the whole corpus; every model is fitted on each split
from nothing. Prints a table with 95 % intervals, the mean over the splits, the mean of
probabilities and the votes counted beside the mean of logits, the vote without each member, the
stack of the two quick ones, and what each combination gains over the best single model. What was
fitted is kept in build/benchmarks/quality under the digest of the code that fitted it, so that a
run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.gain import Measured, gain
from rampart.bundle.build import assemble
from rampart.bundle.revision import code_digest
from rampart.bundle.staging import staged
from rampart.compression.onnx import export_encoder
from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.data.preparation import prepare
from rampart.data.sources import SPAM_ASSASSIN, read
from rampart.data.tables import read_table, write_table
from rampart.ensembles.base import Stage
from rampart.ensembles.stacking import fit_stacking
from rampart.ensembles.voting import (
    fit_soft_voting,
    fit_voting,
    hard_vote,
    mean_of_probabilities,
)
from rampart.evaluation.evaluation import Evaluation, evaluate
from rampart.evaluation.metrics import threshold_at_fpr
from rampart.inference.engine import Engine
from rampart.inference.predictions import predictions, thresholds
from rampart.models.base import Floats, logit, sigmoid
from rampart.models.calibration import Calibration
from rampart.settings import settings
from rampart.training.combination import quick_out_of_fold
from rampart.training.encoder import EncoderTraining, train_encoder
from rampart.training.ngram import fit_ngram
from rampart.training.tabular import TabularTraining, fit_tabular

FOLDER = Path("build/benchmarks/quality")
LIBRARY = Path(__file__).resolve().parents[1] / "rampart"
FITTING = ("data", "features", "models", "training", "compression")
METRICS = {
    "f1": "F1",
    "recall_at_1_fpr": "recall at 1 % FPR",
    "recall_at_01_fpr": "at 0.1 % FPR",
    "pr_auc": "PR-AUC",
    "false_positive_rate": "FPR at the threshold",
    "brier": "Brier",
}
MODELS = ("ngram", "tabular", "encoder")
PROBABILITIES, VOTES = "mean of probabilities", "votes counted"
Stacked = tuple[dict[str, Floats], NDArray[np.int8]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="of campaign splits"
    )
    parser.add_argument("--sample", type=int, default=0, help="mails for the encoder; 0 for all")
    given = parser.parse_args(arguments)
    console = Console(width=150)
    kept = FOLDER / f"{code_digest([LIBRARY / part for part in FITTING])}-{given.sample or 'all'}"
    messages = _messages(kept)
    measured: dict[str, Evaluation] = {}
    compared: list[Measured] = []
    for seed in given.seeds:
        table = splits.split(messages, seed=seed)
        name = f"campaign split, seed {seed}"
        folder = kept / f"campaign-{seed}"
        measured[name], rows = _measure(table, "split", seed, folder, given.sample)
        compared.append(rows)
        console.print(_shown(name, measured[name]))
    if measured:
        console.print(_mean("mean of the campaign splits", list(measured.values())))
        console.print(gain(compared, MODELS, "gain, mean of the campaign splits"))
    table = splits.split(messages, seed=0)
    later, rows = _measure(table, "time_split", 0, kept / "time", given.sample)
    console.print(_shown("time split, older mails to newer", later))
    console.print(gain([rows], MODELS, "gain, time split"))
    document = {name: result.model_dump(mode="json") for name, result in measured.items()}
    document["time split"] = later.model_dump(mode="json")
    (kept / "quality.json").write_text(json.dumps(document), encoding="utf-8")
    console.print(f"All figures: {kept / 'quality.json'}")


def _messages(kept: Path) -> pd.DataFrame:
    path = kept / "messages.parquet"
    if not path.exists():
        raw = read(SPAM_ASSASSIN, cache=settings().cache_dir)
        write_table(prepare(raw.rows).rows, path)
    return read_table(path)


def _measure(
    table: pd.DataFrame, column: str, seed: int, folder: Path, sample: int
) -> tuple[Evaluation, Measured]:
    """Fit the models and the ensemble on one split, and measure them on its test part."""
    train, validation = (Labelled.part(table, column, part) for part in ("train", "validation"))
    models = {kind: folder / kind for kind in MODELS}
    if not models["encoder"].exists():
        with staged(models["encoder"]) as served:
            training = EncoderTraining(sample=sample or None, seed=seed)
            train_encoder(train, validation, folder / "network", training)
            export_encoder(folder / "network", served)
    if not models["ngram"].exists():
        with staged(models["ngram"]) as served:
            fit_ngram(train.texts, train.labels).save(served)
    if not models["tabular"].exists():
        with staged(models["tabular"]) as served:
            fit_tabular(train, validation, TabularTraining(seed=seed)).save(served)
    stacked = _out_of_fold(folder / "folds.npz", train, validation, seed)
    assemble(folder / "bundle", models, validation)
    engine = Engine.load(folder / "bundle")
    tested = predictions(engine, table[table[column] == "test"])
    checked = predictions(engine, table[table[column] == "validation"])
    limits = _compared(engine, stacked, checked, tested) | thresholds(engine)
    return evaluate(tested, limits), (tested, limits)


def _out_of_fold(path: Path, train: Labelled, validation: Labelled, seed: int) -> Stacked:
    """Logits of the quick models' training texts, from five fits without them."""
    if not path.exists():
        logits = quick_out_of_fold(train, validation, seed=seed)
        np.savez(path, labels=train.labels, ngram=logits["ngram"], tabular=logits["tabular"])
    with np.load(path) as saved:
        return {name: saved[name] for name in saved.files if name != "labels"}, saved["labels"]


def _compared(
    engine: Engine, stacked: Stacked, checked: pd.DataFrame, tested: pd.DataFrame
) -> dict[str, float]:
    """Add other ensembles to the tested rows; their thresholds are chosen as the others' are."""
    names = [model.name for model in engine.manifest.models]
    labels = checked["label"].to_numpy()
    own = thresholds(engine)
    others: dict[str, Callable[[pd.DataFrame], Floats]] = {
        PROBABILITIES: lambda table: mean_of_probabilities(_columns(table, names)),
        VOTES: lambda table: hard_vote(_columns(table, names), own),
        "mean of logits, no weights": partial(
            _voted,
            fit_soft_voting(_logits(checked, names), _as_they_are(names), labels).stages[-1],
            names,
        ),
    }
    for left_out in names:
        rest = [name for name in names if name != left_out]
        stage = fit_voting(_logits(checked, rest), _as_they_are(rest), labels).stages[-1]
        others[f"without {left_out}"] = partial(_voted, stage, rest)
    quick = list(stacked[0])
    scales = {entry.name: entry.calibration for entry in engine.manifest.models}
    folds = {name: scales[name](logits) for name, logits in stacked[0].items()}
    stage = fit_stacking(folds, stacked[1], _logits(checked, quick), labels).stages[-1]
    others[f"stack of {' and '.join(quick)}"] = partial(_voted, stage, quick)
    limits = {}
    for name, probability in others.items():
        limits[name] = threshold_at_fpr(labels, probability(checked), 0.01)
        tested[name] = probability(tested)
    return limits


def _as_they_are(names: Sequence[str]) -> dict[str, Calibration]:
    return {name: Calibration() for name in names}


def _columns(table: pd.DataFrame, names: Sequence[str]) -> dict[str, Floats]:
    return {name: table[name].to_numpy() for name in names}


def _voted(stage: Stage, names: Sequence[str], table: pd.DataFrame) -> Floats:
    return sigmoid(stage.combine(_logits(table, names)))


def _logits(table: pd.DataFrame, names: Sequence[str]) -> dict[str, Floats]:
    """Calibrated logits of models, from their probabilities."""
    return {name: logit(np.clip(table[name].to_numpy(), 1e-12, 1 - 1e-12)) for name in names}


def _shown(title: str, result: Evaluation) -> Table:
    table = Table(
        "model", *METRICS.values(), title=f"{title}: {result.rows} mails, {result.positives} spam"
    )
    for model in result.models:
        figures = result.headline(model)
        table.add_row(model, *(str(figures[metric]) for metric in METRICS))
    return table


def _mean(title: str, results: Sequence[Evaluation]) -> Table:
    table = Table("model", *METRICS.values(), title=f"{title} (lowest to highest split)")
    for model in results[0].models:
        row = []
        for metric in METRICS:
            found = [result.headline(model)[metric] for result in results]
            values = np.array([figure.value for figure in found if figure is not None])
            row.append(f"{values.mean():.4f} ({values.min():.3f} to {values.max():.3f})")
        table.add_row(model, *row)
    return table


if __name__ == "__main__":
    main()
