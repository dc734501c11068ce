"""Resamples of rows by whole campaigns, and the intervals that figures have over them.

Near-duplicates of one campaign are alike, and a model is right or wrong on them together, so rows
drawn one by one would make the intervals too narrow. A resample is a count for each row, not a new
table. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; for clusters Davison
and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
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

    @classmethod
    def of(cls, value: float, draws: Floats) -> Interval:
        """A figure and its values on resamples; one that says nothing is NaN and left out."""
        told = draws[~np.isnan(draws)]
        low, high = np.percentile(told, [2.5, 97.5]) if len(told) else (value, value)
        return cls(value=float(value), low=float(low), high=float(high))

    @property
    def clear_of_zero(self) -> bool:
        """Whether the figure is told from none."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def signed(self) -> str:
        """The same with its sign, as a difference is written."""
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


class Resamples:
    """The same draws for every figure: how often each campaign is in each resample.

    Args:
        campaigns: of each row, [n]; None, NaN or "" stands for itself. So does every row where
            none are given or all are of one, which could not be resampled.
        rows: n, at least 1.
        resamples: how many; 95 % intervals want 1000.
        seed: of the draws.

    Raises:
        InputError: there are no rows or no resamples, or the campaigns are of other rows.
    """

    def __init__(
        self,
        campaigns: Sequence[Any] | NDArray[Any] | None,
        rows: int,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        if rows < 1:
            raise InputError("There is no text to aggregate.", "Pass at least one.")
        if resamples < 1:
            raise InputError(f"resamples is {resamples}.", "Ask for at least one.")
        self.resamples = resamples
        self._unit = _units(campaigns, rows)
        self._seed = seed

    def weights(self) -> Iterator[Floats]:
        """How often each row is in each resample, [r, n], a few resamples at a time."""
        for times in self._times(len(self._unit)):
            yield times[:, self._unit]

    def means(self, value: Floats, present: Floats) -> list[Interval]:
        """For each column the sum of `value` [n, w] over that of `present` [n, w], more than 0."""
        if not value.shape[1]:
            return []
        units = int(self._unit.max()) + 1
        top, bottom = np.zeros((units, value.shape[1])), np.zeros((units, value.shape[1]))
        np.add.at(top, self._unit, value)
        np.add.at(bottom, self._unit, present)
        drawn = []
        for times in self._times(units):
            below = times @ bottom
            drawn.append(np.divide(times @ top, below, where=below > 0, out=below * np.nan))
        figures = top.sum(axis=0) / bottom.sum(axis=0)
        return [
            Interval.of(figure, draws)
            for figure, draws in zip(figures, np.concatenate(drawn).T, strict=True)
        ]

    def _times(self, width: int) -> Iterator[Floats]:
        """How often each campaign is in each resample, [r, campaigns], for rows of a width."""
        units = int(self._unit.max()) + 1
        draw = np.random.default_rng(self._seed)
        stride = max(1, _CELLS // max(units, width))
        for first in range(0, self.resamples, stride):
            count = min(stride, self.resamples - first)
            picks = draw.integers(0, units, size=(count, units))
            picks += units * np.arange(count)[:, None]
            times = np.bincount(picks.ravel(), minlength=count * units)
            yield times.reshape(count, units).astype(np.float64)


def _units(campaigns: Sequence[Any] | NDArray[Any] | None, rows: int) -> Ints:
    """Which unit each row is drawn with, numbered from 0, [rows]."""
    alone: Ints = np.arange(rows, dtype=np.int64)
    if campaigns is None:
        return alone
    if len(campaigns) != rows:
        raise InputError(f"{len(campaigns)} campaigns are given for {rows} texts.")
    numbers: dict[Any, int] = {}
    unit = [
        numbers.setdefault((row,) if _none(name) else name, len(numbers))
        for row, name in enumerate(campaigns)
    ]
    return np.array(unit, dtype=np.int64) if len(numbers) > 1 else alone


def _none(campaign: Any) -> bool:
    """Whether a table names no campaign here."""
    return campaign is None or campaign == "" or (isinstance(campaign, float) and isnan(campaign))
