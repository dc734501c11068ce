"""What an ensemble gains over the best single model: the last table of `make benchmark-quality`.

Paired: both are measured on the same resample of the same test rows, by whole campaigns. A figure
is the mean over the splits; the test parts of different splits share mails, so its interval is
somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from rich.table import Table

from rampart.evaluation.intervals import Bootstrap, bootstrap
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats

Measured = tuple[pd.DataFrame, Mapping[str, float]]
_SHARES = {"f1": "F1", "recall_at_1_fpr": "recall at 1 % FPR"}


def gain(splits: Sequence[Measured], single: Sequence[str], title: str) -> Table:
    """Every combination beside the best single model.

    Args:
        splits: test rows with a column of probabilities for each model, and the models' thresholds.
        single: names of the single models; the one with the highest mean F1 is the yardstick.
        title: of the table.
    """
    drawn = [_drawn(table, limits) for table, limits in splits]
    means = {name: np.mean([_value(draw, name, "f1") for draw in drawn]) for name in single}
    best = max(means, key=lambda name: means[name])
    shown = Table(
        f"against {best} alone", "F1", "recall at 1 % FPR", "fewer errors", "fewer missed at 1 %",
        title=title,
    )  # fmt: skip
    for name in splits[0][1]:
        if name in single:
            continue
        row = [
            _interval(
                [_value(draw, name, metric) - _value(draw, best, metric) for draw in drawn],
                [draw.draws[name][metric] - draw.draws[best][metric] for draw in drawn],
                "{:+.4f}",
            )
            for metric in _SHARES
        ]
        errors = [
            (_errors(table, limits, name), _errors(table, limits, best)) for table, limits in splits
        ]
        row.append(_fewer(errors, splits))
        missed = [
            tuple(1 - _value(draw, which, "recall_at_1_fpr") for which in (name, best))
            for draw in drawn
        ]
        ours, theirs = np.mean(missed, axis=0)
        low, high = _missed_interval(drawn, name, best)
        row.append(f"{1 - ours / theirs:.0%} ({low:.0%} to {high:.0%})")
        shown.add_row(name, *row)
    return shown


def _drawn(table: pd.DataFrame, limits: Mapping[str, float]) -> Bootstrap:
    labels = table["label"].to_numpy()
    ranked = {
        name: Scored.of(labels, table[name].to_numpy(), limit) for name, limit in limits.items()
    }
    return bootstrap(ranked, campaigns=table["campaign"].to_numpy())


def _value(draw: Bootstrap, model: str, metric: str) -> float:
    value = draw.point[model][metric]
    return np.nan if value is None else value


def _interval(values: Sequence[float], draws: Sequence[Floats], form: str) -> str:
    low, high = np.nanpercentile(np.mean(draws, axis=0), [2.5, 97.5])
    return f"{form.format(np.mean(values))} ({form.format(low)} to {form.format(high)})"


def _missed_interval(drawn: Sequence[Bootstrap], name: str, best: str) -> tuple[float, float]:
    ours, theirs = (
        np.mean([1 - draw.draws[which]["recall_at_1_fpr"] for draw in drawn], axis=0)
        for which in (name, best)
    )
    # Where the yardstick misses nothing there is nothing to gain: such a resample says nothing.
    fewer = 1 - np.divide(ours, theirs, out=np.full_like(ours, np.nan), where=theirs > 0)
    low, high = np.nanpercentile(fewer, [2.5, 97.5])
    return float(low), float(high)


def _errors(table: pd.DataFrame, limits: Mapping[str, float], name: str) -> Floats:
    """1.0 for each row that a model gets wrong at its own threshold."""
    wrong = (table[name] >= limits[name]) != (table["label"] == 1)
    found: Floats = wrong.to_numpy().astype(np.float64)
    return found


def _fewer(errors: Sequence[tuple[Floats, Floats]], splits: Sequence[Measured]) -> str:
    """How many of the yardstick's errors are gone, with an interval over campaigns."""
    draw = np.random.default_rng(0)
    ours = theirs = 0.0
    drawn = np.zeros((2, 1000))
    for (mine, other), (table, _) in zip(errors, splits, strict=True):
        ours, theirs = ours + mine.sum(), theirs + other.sum()
        unit, _ = pd.factorize(table["campaign"])
        of_unit = np.stack([np.bincount(unit, weights=wrong) for wrong in (mine, other)])
        picks = draw.integers(0, of_unit.shape[1], size=(1000, of_unit.shape[1]))
        drawn += of_unit[:, picks].sum(axis=2)
    low, high = np.percentile(1 - drawn[0] / np.maximum(drawn[1], 1), [2.5, 97.5])
    return f"{1 - ours / theirs:.0%} ({low:.0%} to {high:.0%})"
