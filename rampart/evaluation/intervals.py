"""Bootstrap intervals of metrics, and of the differences between models on the same rows.

Near-duplicates of one campaign are right or wrong together, so whole campaigns are resampled:
rows drawn one by one would make the intervals too narrow. A resample is a count for each row, not
a new table. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; for clusters
Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.errors import DataError, InputError
from rampart.evaluation.metrics import METRICS, measure
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats, Ints

RESAMPLES = 1000
_CELLS = 1_000_000


class Interval(BaseModel):
    """A figure and the 95 % of its resamples between the 2.5th and the 97.5th percentile.

    Where no resample changed the figure the interval has no width. That says that these rows hold
    nothing to tell it by (no error among 20 rows, say), not that the figure is certain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def signed(self) -> str:
        """The same with its sign, as a difference is written."""
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


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
    if resamples < 1:
        raise InputError(f"resamples is {resamples}.", "Ask for at least one.")
    rows = {len(ranking.order) for ranking in scored.values()}
    if campaigns is not None:
        rows.add(len(campaigns))
    if len(rows) != 1:
        raise DataError(f"Models and campaigns are of different numbers of rows: {sorted(rows)}.")
    unit = _units(campaigns, next(iter(rows)))
    parts: dict[str, dict[str, list[Floats]]] = {
        model: {metric: [] for metric in METRICS} for model in scored
    }
    for weights in _weights(unit, resamples, np.random.default_rng(seed)):
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


def _units(campaigns: Sequence[Any] | NDArray[Any] | None, rows: int) -> Ints:
    """Which unit each row is drawn with, numbered from 0, [rows]."""
    alone = np.arange(rows, dtype=np.int64)
    if campaigns is None:
        return alone
    given = np.asarray(campaigns, dtype=object)
    unit: Ints = pd.factorize(given)[0].astype(np.int64)
    unit = np.where((unit < 0) | (given == ""), rows + alone, unit)
    unit = np.unique(unit, return_inverse=True)[1].astype(np.int64)
    return unit if unit.max() > 0 else alone


def _weights(unit: Ints, resamples: int, draw: np.random.Generator) -> Iterator[Floats]:
    """How often each row is in each resample, [r, rows], a few resamples at a time."""
    units = int(unit.max()) + 1
    stride = max(1, _CELLS // len(unit))
    for first in range(0, resamples, stride):
        count = min(stride, resamples - first)
        picks = draw.integers(0, units, size=(count, units))
        picks += units * np.arange(count)[:, None]
        times = np.bincount(picks.ravel(), minlength=count * units).reshape(count, units)
        yield times[:, unit].astype(np.float64)


def _interval(value: float | None, draws: Floats) -> Interval | None:
    if value is None:
        return None
    drawn = draws[~np.isnan(draws)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (value, value)
    return Interval(value=value, low=float(low), high=float(high))


def shown(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval for people; "n/a" where the metric is undefined."""
    if interval is None:
        return "n/a"
    return interval.signed() if signed else str(interval)
