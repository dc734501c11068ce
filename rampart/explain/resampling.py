"""Means of columns over texts, with intervals by resamples of whole campaigns.

Near-duplicates weigh their words alike, so texts drawn one by one would make the intervals too
narrow. Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.models.base import Floats, Ints

RESAMPLES = 1000
_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where 95 % of its resamples lie.

    No width means that no resample changed the figure, as with a word of one text alone, not that
    it is certain.
    """

    value: float
    low: float
    high: float

    @property
    def clear_of_zero(self) -> bool:
        """Whether the figure is told from none."""
        return self.low > 0 or self.high < 0


class Resamples:
    """The same draws for every column: how often each campaign is in each resample.

    Args:
        campaigns: of each text, [n]; None, NaN or "" stands for itself. So does every text where
            none are given or all are of one, which could not be resampled.
        texts: n, at least 1.
        resamples: how many; 95 % intervals want 1000.
        seed: of the draws.

    Raises:
        InputError: there are no texts or no resamples, or the campaigns are of other texts.
    """

    def __init__(
        self, campaigns: Sequence[Any] | None, texts: int, resamples: int, seed: int
    ) -> None:
        if texts < 1:
            raise InputError("There is no text to aggregate.", "Pass at least one.")
        if resamples < 1:
            raise InputError(f"resamples is {resamples}.", "Ask for at least one.")
        self._unit = _units(campaigns, texts)
        self._resamples = resamples
        self._seed = seed

    def means(self, value: Floats, present: Floats) -> list[Interval]:
        """For each column the sum of `value` [n, w] over that of `present` [n, w], more than 0."""
        if not value.shape[1]:
            return []
        units = int(self._unit.max()) + 1
        top, bottom = np.zeros((units, value.shape[1])), np.zeros((units, value.shape[1]))
        np.add.at(top, self._unit, value)
        np.add.at(bottom, self._unit, present)
        draw = np.random.default_rng(self._seed)
        stride = max(1, _CELLS // units)
        drawn = []
        for first in range(0, self._resamples, stride):
            size = min(stride, self._resamples - first)
            times = draw.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)
            below = times @ bottom
            drawn.append(np.divide(times @ top, below, where=below > 0, out=below * np.nan))
        figures = top.sum(axis=0) / bottom.sum(axis=0)
        return [
            _interval(float(figure), draws)
            for figure, draws in zip(figures, np.concatenate(drawn).T, strict=True)
        ]


def _interval(figure: float, draws: Floats) -> Interval:
    """A resample without any text that counts says nothing and is left out."""
    told = draws[~np.isnan(draws)]
    low, high = np.percentile(told, [2.5, 97.5]) if len(told) else (figure, figure)
    return Interval(figure, float(low), float(high))


def _units(campaigns: Sequence[Any] | None, texts: int) -> Ints:
    """Which unit each text is drawn with, numbered from 0, int64 [n]."""
    alone = np.arange(texts, dtype=np.int64)
    if campaigns is None:
        return alone
    if len(campaigns) != texts:
        raise InputError(f"{len(campaigns)} campaigns are given for {texts} texts.")
    numbers: dict[Any, int] = {}
    unit = [
        numbers.setdefault((row,) if _none(name) else name, len(numbers))
        for row, name in enumerate(campaigns)
    ]
    return np.array(unit, dtype=np.int64) if len(numbers) > 1 else alone


def _none(campaign: Any) -> bool:
    """Whether a table names no campaign here."""
    return campaign is None or campaign == "" or (isinstance(campaign, float) and isnan(campaign))
