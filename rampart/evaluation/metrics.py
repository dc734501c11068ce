"""Metrics of labelled probabilities, for any weights of the rows, and the threshold's choice.

A metric is a function of `Counts` (`rampart.evaluation.scored`): what a ranking and r sets of row
weights give, so that a bootstrap of r resamples is one call. Values are [r]; where a metric is
undefined they hold NaN, which no function that hands out single values lets through: there it is
None.

Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.errors import DataError, InputError
from rampart.evaluation.scored import Counts, Scored, checked
from rampart.models.base import Floats


def threshold_at_fpr(labels: NDArray[Any], probability: Floats, rate: float) -> float:
    """Smallest threshold at which at most a share `rate` of the harmless rows is flagged.

    A row is flagged when its probability is at or over the threshold. Of all thresholds that part
    the rows alike, the one midway between the neighbouring scores is given: right on a score,
    rounding would decide. Rows with equal scores fall on one side together.

    Args:
        labels: 0 and 1, [n].
        probability: in [0, 1], [n].
        rate: in [0, 1]; with fewer than `1 / rate` harmless rows none of them may be flagged.

    Returns:
        A threshold in [0, 1]. Where too many harmless rows stand at exactly 1, no such threshold
        keeps the rate, and 1 comes nearest.

    Raises:
        DataError: there is no harmless row, or labels and probabilities cannot be used.
        InputError: the rate is not a share.
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(
            f"The false-positive rate {rate} is not between 0 and 1.", "Give a share, such as 0.01."
        )
    labels, probability = checked(labels, probability)
    harmless = np.sort(probability[labels == 0])[::-1]
    if not len(harmless):
        raise DataError(
            "A threshold at a false-positive rate needs harmless rows and got none.",
            "Give a split that holds label 0.",
        )
    allowed = int(_limit(rate, len(harmless)))
    if allowed >= len(harmless):
        return 0.0
    below = float(harmless[allowed])
    above = float(np.min(probability[probability > below], initial=1.0))
    middle = below + (above - below) / 2
    return middle if middle > below else above


def f1(counts: Counts) -> Floats:
    """Harmonic mean of precision and recall at the threshold."""
    true, false = counts.flagged()
    return _ratio(2 * true, true + false + counts.positives)


def precision(counts: Counts) -> Floats:
    """Share of threats among the rows flagged; undefined where none is."""
    true, false = counts.flagged()
    return _ratio(true, true + false)


def recall(counts: Counts) -> Floats:
    """Share of the threats that is flagged."""
    return _ratio(counts.flagged()[0], counts.positives)


def false_positive_rate(counts: Counts) -> Floats:
    """Share of the harmless rows that is flagged."""
    return _ratio(counts.flagged()[1], counts.negatives)


def pr_auc(counts: Counts) -> Floats:
    """Average precision: the mean of precision over the steps of recall, not interpolated."""
    flagged = counts.true + counts.false
    # Where no weight has come yet, recall has not stepped either.
    at = np.divide(counts.true, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    steps = np.diff(counts.true, axis=1, prepend=0.0)
    return _ratio(np.sum(at * steps, axis=1), counts.positives)


def roc_auc(counts: Counts) -> Floats:
    """Chance that a threat scores over a harmless row, equal scores counted half."""
    steps = np.diff(counts.false, axis=1, prepend=0.0)
    # Threats above a run and half of those within it.
    above = counts.true - np.diff(counts.true, axis=1, prepend=0.0) / 2
    return _ratio(np.sum(above * steps, axis=1), counts.positives * counts.negatives)


def recall_at_fpr(counts: Counts, rate: float) -> Floats:
    """Highest recall of any threshold that flags at most a share `rate` of the harmless rows.

    With fewer than `1 / rate` harmless rows this is the recall without one false positive.
    """
    kept = np.sum(counts.false <= _limit(rate, counts.negatives)[:, None], axis=1)
    last = np.maximum(kept - 1, 0)
    true = np.take_along_axis(counts.true, last[:, None], axis=1)[:, 0]
    return _ratio(np.where(kept > 0, true, 0.0), counts.positives)


def recall_at_1_fpr(counts: Counts) -> Floats:
    """Recall at 1 % false positives."""
    return recall_at_fpr(counts, 0.01)


def recall_at_01_fpr(counts: Counts) -> Floats:
    """Recall at 0.1 % false positives."""
    return recall_at_fpr(counts, 0.001)


def brier(counts: Counts) -> Floats:
    """Mean squared difference between probability and label."""
    error = (counts.scored.probability - counts.scored.label) ** 2
    return _ratio(counts.weight @ error, counts.positives + counts.negatives)


def calibration_error(counts: Counts) -> Floats:
    """Expected calibration error over 15 bins of equal mass, fewer on few rows (see `Scored`).

    Most scores lie near 0 and 1, so bins of equal width would be empty in between. Resampled rows
    are further from their probabilities than the rows themselves, so that an interval of this
    metric leans upwards. Source: Nixon et al., "Measuring Calibration in Deep Learning", 2019.
    """
    scored = counts.scored
    off = counts.weight * (scored.label - scored.probability)
    each = np.abs(np.add.reduceat(off, scored.bins, axis=1))
    return _ratio(np.sum(each, axis=1), counts.positives + counts.negatives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric and how to read it.

    Attributes:
        title: for people.
        function: from counts to values [r], NaN where undefined.
        higher_is_better: otherwise lower is.
        needs_both_classes: undefined where a class has no weight. Of the others, the Brier score
            needs none, recall and the false-positive rate the class that they are a share of.
    """

    title: str
    function: Callable[[Counts], Floats]
    higher_is_better: bool = True
    needs_both_classes: bool = True

    def __call__(self, counts: Counts) -> Floats:
        """Values [r], NaN where the metric is undefined."""
        value = self.function(counts)
        if self.needs_both_classes:
            value = np.where((counts.positives > 0) & (counts.negatives > 0), value, np.nan)
        return value


METRICS: dict[str, Metric] = {
    "f1": Metric(title="F1", function=f1),
    "precision": Metric(title="Precision", function=precision),
    "recall": Metric(title="Recall", function=recall, needs_both_classes=False),
    "false_positive_rate": Metric(
        title="False-positive rate",
        function=false_positive_rate,
        higher_is_better=False,
        needs_both_classes=False,
    ),
    "pr_auc": Metric(title="PR-AUC", function=pr_auc),
    "roc_auc": Metric(title="ROC-AUC", function=roc_auc),
    "recall_at_1_fpr": Metric(title="Recall at 1 % FPR", function=recall_at_1_fpr),
    "recall_at_01_fpr": Metric(title="Recall at 0.1 % FPR", function=recall_at_01_fpr),
    "brier": Metric(
        title="Brier score", function=brier, higher_is_better=False, needs_both_classes=False
    ),
    "calibration_error": Metric(
        title="Calibration error", function=calibration_error, higher_is_better=False
    ),
}
"""Every metric by name, in the order in which they are shown."""


def measure(scored: Scored) -> dict[str, float | None]:
    """Every metric of the rows as they are; None where it is undefined."""
    counts = scored.counts()
    return {name: defined(metric(counts)[0]) for name, metric in METRICS.items()}


def defined(value: float | np.floating[Any]) -> float | None:
    """None for NaN."""
    return None if np.isnan(value) else float(value)


def _limit(rate: float, negatives: Any) -> Any:
    """How many of the harmless rows may be flagged; .29 * 100 is 28.999... to a float."""
    return np.floor(rate * negatives + 1e-9)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    nothing = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)
