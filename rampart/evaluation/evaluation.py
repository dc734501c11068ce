"""A bundle measured on one test table: every metric of every model on every slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from rampart.errors import DataError
from rampart.evaluation.intervals import bootstrap
from rampart.evaluation.metrics import METRICS
from rampart.evaluation.operating_points import Confusion, confusion
from rampart.evaluation.scored import Scored
from rampart.evaluation.slices import ALL, slices
from rampart.resampling import RESAMPLES, Interval

Figures = dict[str, Interval | None]
"""Metric to figure; None where it is undefined."""

_COLUMNS = ("id", "label", "group", "campaign", "has_html", "characters")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SliceSize(_Document):
    """How many rows a slice has, and how many of them are threats."""

    rows: int
    positives: int


class Evaluation(_Document):
    """What was measured. `model_dump_json` and `model_validate_json` keep all of it.

    Attributes:
        rows: of the test table.
        positives: threats among them.
        campaigns: different campaigns among them: so many rows tell something of their own.
        resamples: behind each interval.
        thresholds: model to decision threshold; the ensemble's comes last.
        slices: slice to its size; 'all' comes first.
        models: model to slice to metric to figure.
        differences: each model but the ensemble to metric to what the ensemble has over it, on all
            rows, paired.
        confusion: model to its verdicts on all rows.
    """

    rows: int
    positives: int
    campaigns: int
    resamples: int
    thresholds: dict[str, float] = Field(min_length=1)
    slices: dict[str, SliceSize]
    models: dict[str, dict[str, Figures]]
    differences: dict[str, Figures]
    confusion: dict[str, Confusion]

    @property
    def ensemble(self) -> str:
        """Name of the ensemble's column."""
        return list(self.thresholds)[-1]

    def headline(self, model: str | None = None) -> Figures:
        """Figures of a model on all rows; the ensemble's by default."""
        return self.models[model or self.ensemble][ALL]

    def manifest_metrics(self) -> dict[str, dict[str, float | None]]:
        """The ensemble's values as the bundle's manifest holds them: slice to metric to value."""
        return {
            name: {
                metric: None if figure is None else figure.value
                for metric, figure in figures.items()
            }
            for name, figures in self.models[self.ensemble].items()
        }


def evaluate(
    table: pd.DataFrame,
    thresholds: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure every model of a table of predictions, with 95 % bootstrap intervals.

    Args:
        table: id, label, group, campaign, has_html, characters, and a column of probabilities for
            each model, as `rampart.inference.predictions` gives it.
        thresholds: model's column to decision threshold; the ensemble's comes last.
        resamples: of whole campaigns, behind each interval.
        seed: of the resamples.
        on_progress: told the slices done and the slices in all.

    Raises:
        DataError: the table holds no row, lacks a column or holds what cannot be measured.
    """
    if not thresholds:
        raise DataError("No model is named to be measured.", "Give at least one threshold.")
    missing = [name for name in (*_COLUMNS, *thresholds) if name not in table]
    if missing:
        raise DataError(f"The table of predictions lacks the columns {', '.join(missing)}.")
    ensemble = list(thresholds)[-1]
    models: dict[str, dict[str, Figures]] = {name: {} for name in thresholds}
    differences: dict[str, Figures] = {}
    sizes: dict[str, SliceSize] = {}
    masks = slices(table)
    for number, (name, mask) in enumerate(masks.items(), start=1):
        part = table[mask]
        drawn = bootstrap(
            scored(part, thresholds),
            campaigns=part["campaign"].to_numpy(),
            resamples=resamples,
            seed=seed,
        )
        sizes[name] = SliceSize(rows=len(part), positives=int(part["label"].sum()))
        for model in thresholds:
            models[model][name] = {metric: drawn.interval(model, metric) for metric in METRICS}
        if name == ALL:
            differences = {
                model: {metric: drawn.difference(ensemble, model, metric) for metric in METRICS}
                for model in thresholds
                if model != ensemble
            }
        if on_progress is not None:
            on_progress(number, len(masks))
    return Evaluation(
        rows=len(table),
        positives=sizes[ALL].positives,
        campaigns=int(table["campaign"].nunique()),
        resamples=resamples,
        thresholds=dict(thresholds),
        slices=sizes,
        models=models,
        differences=differences,
        confusion={
            model: confusion(ranking) for model, ranking in scored(table, thresholds).items()
        },
    )


def scored(table: pd.DataFrame, thresholds: Mapping[str, float]) -> dict[str, Scored]:
    """Each model's ranking of a table's rows, for metrics, curves and confusion counts.

    Raises:
        DataError: there is no row, or labels and probabilities cannot be used.
    """
    labels = table["label"].to_numpy()
    return {
        model: Scored.of(labels, table[model].to_numpy(), threshold)
        for model, threshold in thresholds.items()
    }
