"""What a model does at its threshold and at every other: the numbers behind the pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from rampart.errors import DataError
from rampart.evaluation.scored import Counts, Scored
from rampart.models.base import Floats, Ints

MOST_POINTS = 200


class Confusion(BaseModel):
    """Rows by label and verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    def matrix(self) -> list[list[int]]:
        """Rows by label, columns by verdict, the harmless label first."""
        return [
            [self.true_negatives, self.false_positives],
            [self.false_negatives, self.true_positives],
        ]


class RocCurve(BaseModel):
    """Points of a ROC curve from (0, 0) to (1, 1), at falling thresholds.

    The first threshold flags nothing and is written as 1, as no threshold over it has a meaning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive_rate: list[float]
    true_positive_rate: list[float]
    threshold: list[float]


class Reliability(NamedTuple):
    """Calibration bins: mean probability, share of threats and rows of each, [b] each."""

    probability: Floats
    share: Floats
    rows: Ints


def confusion(scored: Scored) -> Confusion:
    """Verdicts at the model's threshold against the labels."""
    counts = scored.counts()
    true, false = (int(value[0]) for value in counts.flagged())
    return Confusion(
        true_negatives=int(counts.negatives[0]) - false,
        false_positives=false,
        false_negatives=int(counts.positives[0]) - true,
        true_positives=true,
    )


def roc_curve(scored: Scored, *, most: int = MOST_POINTS) -> RocCurve:
    """The ROC curve in at most `most` points (2 or more), corners first.

    Raises:
        DataError: a class is missing.
    """
    counts = _both_classes(scored)
    false = np.append(0.0, counts.false[0])
    true = np.append(0.0, counts.true[0])
    threshold = np.append(1.0, scored.probability[scored.ends])
    kept = _thinned(_corners(false, true), most)
    return RocCurve(
        false_positive_rate=(false[kept] / counts.negatives[0]).tolist(),
        true_positive_rate=(true[kept] / counts.positives[0]).tolist(),
        threshold=threshold[kept].tolist(),
    )


def precision_recall_curve(scored: Scored, *, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Recall and precision at falling thresholds, at most `most` points each.

    Raises:
        DataError: a class is missing.
    """
    counts = _both_classes(scored)
    true, false = counts.true[0], counts.false[0]
    kept = _thinned(np.arange(len(true), dtype=np.int64), most)
    return true[kept] / counts.positives[0], true[kept] / (true[kept] + false[kept])


def reliability(scored: Scored) -> Reliability:
    """Mean probability against the share of threats, by calibration bin."""
    rows: Ints = np.diff(np.append(scored.bins, len(scored.order)))
    return Reliability(
        probability=np.add.reduceat(scored.probability, scored.bins) / rows,
        share=np.add.reduceat(scored.label, scored.bins) / rows,
        rows=rows,
    )


def _both_classes(scored: Scored) -> Counts:
    counts = scored.counts()
    for label, rows in ((0, counts.negatives[0]), (1, counts.positives[0])):
        if not rows:
            raise DataError(f"A curve needs both classes, and no row is labelled {label}.")
    return counts


def _corners(false: Floats, true: Floats) -> Ints:
    """Where the curve turns; points on a straight line between others say nothing."""
    right, up = np.diff(false), np.diff(true)
    turns = right[1:] * up[:-1] != right[:-1] * up[1:]
    return np.flatnonzero(np.concatenate([[True], turns, [True]]))


def _thinned(places: Ints, most: int) -> Ints:
    """At most `most` of them, evenly spread, with the first and the last."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).round().astype(np.int64)]
