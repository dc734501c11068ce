"""One model's labelled probabilities in order, and what they count to under weights of the rows.

Ordering is done once; after it a metric of any number of weightings is a cumulative sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rampart.errors import DataError
from rampart.models.base import Floats, Ints

_BINS = 15
_ROWS_A_BIN = 10


@dataclass(frozen=True, slots=True)
class Scored:
    """n labelled probabilities of one model, in falling order, and the model's threshold.

    Attributes:
        label: 0 and 1, float64 [n].
        probability: float64 [n].
        threshold: a row is flagged from here on.
        order: where each row stood before they were ordered, int64 [n].
        ends: last row of every run of equal probabilities, int64 [k].
        flagged: how many of these runs are at or over the threshold.
        bins: first row of each calibration bin, int64 [b]. Bins hold about equally many rows, 15
            of them, or fewer where they would hold under 10 rows each.
    """

    label: Floats
    probability: Floats
    threshold: float
    order: Ints
    ends: Ints
    flagged: int
    bins: Ints

    @classmethod
    def of(cls, labels: NDArray[Any], probability: Floats, threshold: float) -> Self:
        """Order labels 0 and 1 and probabilities, both [n].

        Raises:
            DataError: there is no row, or labels and probabilities cannot be used.
        """
        labels, probability = checked(labels, probability)
        if not len(labels):
            raise DataError("There is no row to measure.", "Give a table that holds some.")
        order: Ints = np.argsort(-probability, kind="stable")
        ordered = probability[order]
        ends: Ints = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], np.True_))
        return cls(
            label=labels[order],
            probability=ordered,
            threshold=threshold,
            order=order,
            ends=ends,
            flagged=int(np.sum(ordered[ends] >= threshold)),
            bins=_bins(len(labels), ends),
        )

    @property
    def both_classes(self) -> bool:
        """Whether there are harmless rows and threats, so that there is a curve to draw."""
        return bool(0 < self.label.sum() < len(self.label))

    def counts(self, weights: Floats | None = None) -> Counts:
        """What row weights [r, n], in the rows' first order, come to; without them, one of each."""
        weight = np.ones((1, len(self.order))) if weights is None else weights[:, self.order]
        true = np.cumsum(weight * self.label, axis=1)
        every = np.cumsum(weight, axis=1)
        positives, total = true[:, -1].copy(), every[:, -1].copy()
        true = true[:, self.ends]
        return Counts(
            scored=self,
            weight=weight,
            true=true,
            false=every[:, self.ends] - true,
            positives=positives,
            negatives=total - positives,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Weighted counts of one ranking, r times over.

    Attributes:
        scored: the ranking.
        weight: of its rows, in its order, float64 [r, n].
        true: threats flagged when the threshold lies at each of k distinct scores, [r, k].
        false: harmless rows flagged there, [r, k].
        positives: all threats, [r].
        negatives: all harmless rows, [r].
    """

    scored: Scored
    weight: Floats
    true: Floats
    false: Floats
    positives: Floats
    negatives: Floats

    def flagged(self) -> tuple[Floats, Floats]:
        """Threats and harmless rows at or over the model's own threshold, [r] each."""
        last = self.scored.flagged - 1
        if last < 0:
            return np.zeros_like(self.positives), np.zeros_like(self.negatives)
        return self.true[:, last], self.false[:, last]


def checked(labels: NDArray[Any], probability: Floats) -> tuple[Floats, Floats]:
    """Labels 0 and 1 and probabilities as float64, [n] each.

    Raises:
        DataError: they do not pair up, or hold something else.
    """
    label = np.asarray(labels, dtype=np.float64)
    score = np.asarray(probability, dtype=np.float64)
    if label.ndim != 1 or label.shape != score.shape:
        raise DataError(f"Labels {label.shape} and probabilities {score.shape} do not pair up.")
    strange = label[(label != 0) & (label != 1)]
    if len(strange):
        raise DataError(f"A label is {strange[0]:g}; it has to be 0 or 1.")
    # Not a number compares as False.
    outside = score[~((score >= 0) & (score <= 1))]
    if len(outside):
        raise DataError(f"A probability is {outside[0]:g}; it has to lie between 0 and 1.")
    return label, score


def _bins(rows: int, ends: Ints) -> Ints:
    """First row of each calibration bin; rows with equal scores share one."""
    count = max(1, min(_BINS, rows // _ROWS_A_BIN))
    wanted = np.arange(count) * rows // count
    starts = np.append(0, ends[:-1] + 1)
    return np.unique(starts[np.searchsorted(starts, wanted, side="right") - 1])
