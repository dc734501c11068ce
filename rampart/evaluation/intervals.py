"""Bootstrap intervals of metrics, and of the differences between models on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.errors import DataError
from rampart.evaluation.metrics import METRICS, measure
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats
from rampart.resampling import RESAMPLES, Interval, Resamples


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Metrics of several models on the same rows and on the same resamples of them.

    Attributes:
        point: model to metric to its value on the rows; None where it is undefined.
        draws: model to metric to its value on each resample, [resamples]; NaN where undefined.
    """

    point: Mapping[str, Mapping[str, float | None]]
    draws: Mapping[str, Mapping[str, Floats]]

    def interval(self, model: str, metric: str) -> Interval | None:
        """A metric of one model; None where it is undefined.

        Resamples that lack the class it needs count as not drawn.
        """
        return _interval(self.point[model][metric], self.draws[model][metric])

    def difference(self, model: str, other: str, metric: str) -> Interval | None:
        """What a model has over another, paired: both on the same resample each time."""
        ours, theirs = self.point[model][metric], self.point[other][metric]
        if ours is None or theirs is None:
            return None
        return _interval(ours - theirs, self.draws[model][metric] - self.draws[other][metric])


def bootstrap(
    scored: Mapping[str, Scored],
    *,
    campaigns: Sequence[Any] | NDArray[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Measure models on one set of n rows and on resamples of it.

    Args:
        scored: model to its ranking of the rows.
        campaigns: of each row, [n]. A row without one (None, NaN or "") stands for itself; so does
            every row where none are given or all rows share one, which could not be resampled.
        resamples: how many; 95 % intervals want 1000.
        seed: of the draws.

    Raises:
        InputError: there are no resamples to draw.
        DataError: the models or the campaigns are of different numbers of rows.
    """
    rows = {len(ranking.order) for ranking in scored.values()}
    if campaigns is not None:
        rows.add(len(campaigns))
    if len(rows) != 1:
        raise DataError(f"Models and campaigns are of different numbers of rows: {sorted(rows)}.")
    resampled = Resamples(campaigns, next(iter(rows)), resamples, seed)
    parts: dict[str, dict[str, list[Floats]]] = {
        model: {metric: [] for metric in METRICS} for model in scored
    }
    for weights in resampled.weights():
        for model, ranking in scored.items():
            counts = ranking.counts(weights)
            for name, metric in METRICS.items():
                parts[model][name].append(metric(counts))
    return Bootstrap(
        point={model: measure(ranking) for model, ranking in scored.items()},
        draws={
            model: {metric: np.concatenate(values) for metric, values in of_model.items()}
            for model, of_model in parts.items()
        },
    )


def _interval(value: float | None, draws: Floats) -> Interval | None:
    return None if value is None else Interval.of(value, draws)


def shown(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval for people; "n/a" where the metric is undefined."""
    if interval is None:
        return "n/a"
    return interval.signed() if signed else str(interval)
