"""Curves go through the points that scikit-learn's do, however few are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from rampart.errors import DataError
from rampart.evaluation.operating_points import (
    confusion,
    precision_recall_curve,
    reliability,
    roc_curve,
)
from rampart.evaluation.scored import Scored
from tests.unit.evaluation.conftest import predictions

_ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=80,
)


def _arrays(rows) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y for y, _ in rows]), np.array([p for _, p in rows])


@given(_ROWS, st.floats(0, 1))
def test_confusion_counts_are_scikit_learns(rows, threshold) -> None:
    labels, probability = _arrays(rows)
    expected = sklearn_metrics.confusion_matrix(labels, probability >= threshold, labels=[0, 1])
    assert confusion(Scored.of(labels, probability, threshold)).matrix() == expected.tolist()


@given(_ROWS)
def test_the_roc_curve_bounds_the_area_that_was_measured(rows) -> None:
    labels, probability = _arrays(rows)
    assume(0 < labels.sum() < len(labels))
    curve = roc_curve(Scored.of(labels, probability, 0.5))
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(sklearn_metrics.roc_auc_score(labels, probability))
    assert np.all(np.diff(curve.threshold) <= 0)
    assert all(0 <= threshold <= 1 for threshold in curve.threshold)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    table = predictions(rows=3000, voting=6.0)
    scored = Scored.of(table["label"].to_numpy(), table["voting"].to_numpy(), 0.5)
    whole = roc_curve(scored, most=100_000)
    curve = roc_curve(scored)
    assert len(whole.threshold) > 200
    assert len(curve.false_positive_rate) == 200
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0, 0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)
    area = np.trapezoid(whole.true_positive_rate, whole.false_positive_rate)
    thinned = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert thinned == pytest.approx(area, abs=0.003)


@given(_ROWS)
def test_precision_and_recall_are_points_of_scikit_learns_curve(rows) -> None:
    labels, probability = _arrays(rows)
    assume(0 < labels.sum() < len(labels))
    recall, precision = precision_recall_curve(Scored.of(labels, probability, 0.5))
    expected = sklearn_metrics.precision_recall_curve(labels, probability)
    # scikit-learn adds the point at recall 0 and lists rising thresholds.
    assert precision == pytest.approx(expected[0][:-1][::-1])
    assert recall == pytest.approx(expected[1][:-1][::-1])


@given(_ROWS)
def test_calibration_bins_hold_every_row_once_and_part_no_tie(rows) -> None:
    labels, probability = _arrays(rows)
    scored = Scored.of(labels, probability, 0.5)
    bins = reliability(scored)
    assert bins.rows.sum() == len(rows)
    assert bins.rows @ bins.share == pytest.approx(labels.sum())
    assert bins.rows @ bins.probability == pytest.approx(probability.sum())
    for first in scored.bins[1:]:
        assert scored.probability[first] < scored.probability[first - 1]


def test_a_curve_of_one_class_is_refused() -> None:
    scored = Scored.of(np.zeros(3), np.array([0.1, 0.2, 0.3]), 0.5)
    with pytest.raises(DataError, match="labelled 1"):
        roc_curve(scored)
    with pytest.raises(DataError, match="labelled 1"):
        precision_recall_curve(scored)
