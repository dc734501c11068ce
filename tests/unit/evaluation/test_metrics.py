"""Metrics agree with scikit-learn, take weights as repetition, and are None where undefined."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from rampart.errors import DataError, InputError
from rampart.evaluation.metrics import METRICS, measure, threshold_at_fpr
from rampart.evaluation.scored import Scored

# Few different scores, so that ties are common, and the ends of the range.
_SCORE = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1)
_ROWS = st.lists(st.tuples(st.integers(0, 1), _SCORE), min_size=1, max_size=120)
_SHARE = st.floats(0, 1)


def _arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([y for y, _ in rows], dtype=np.int8), np.array([p for _, p in rows])


def _recall_at(labels: np.ndarray, probability: np.ndarray, rate: float) -> float:
    false, true, _ = sklearn_metrics.roc_curve(labels, probability, drop_intermediate=False)
    return float(true[false <= rate].max())


@given(_ROWS, _SHARE)
def test_every_metric_is_what_scikit_learn_says(rows, threshold) -> None:
    labels, probability = _arrays(rows)
    assume(0 < labels.sum() < len(labels))
    flagged = (probability >= threshold).astype(int)
    expected = {
        "f1": sklearn_metrics.f1_score(labels, flagged, zero_division=0),
        "precision": sklearn_metrics.precision_score(labels, flagged) if flagged.any() else None,
        "recall": sklearn_metrics.recall_score(labels, flagged),
        "false_positive_rate": 1 - sklearn_metrics.recall_score(1 - labels, 1 - flagged),
        "pr_auc": sklearn_metrics.average_precision_score(labels, probability),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, probability),
        "recall_at_1_fpr": _recall_at(labels, probability, 0.01),
        "recall_at_01_fpr": _recall_at(labels, probability, 0.001),
        "brier": sklearn_metrics.brier_score_loss(labels, probability),
    }
    measured = measure(Scored.of(labels, probability, threshold))
    del measured["calibration_error"]
    assert measured == {
        name: value if value is None else pytest.approx(value, abs=1e-9)
        for name, value in expected.items()
    }


@given(_ROWS, _SHARE, st.randoms(use_true_random=False))
def test_a_weight_of_three_is_the_row_three_times(rows, threshold, draw) -> None:
    labels, probability = _arrays(rows)
    weights = np.array([[draw.randint(0, 3) for _ in rows]], dtype=float)
    assume(weights.any())
    counts = Scored.of(labels, probability, threshold).counts(weights)
    times = weights[0].astype(int)
    repeated = Scored.of(np.repeat(labels, times), np.repeat(probability, times), threshold)
    # The bins of the calibration error lie where the rows themselves do.
    for name in METRICS.keys() - {"calibration_error"}:
        once = METRICS[name](repeated.counts())
        assert METRICS[name](counts) == pytest.approx(once, abs=1e-9, nan_ok=True)


def test_recall_at_one_percent_needs_a_hundred_harmless_rows_for_one_mistake() -> None:
    def at(harmless: int) -> float | None:
        # One harmless row above everything, then the threats, then the other harmless rows.
        labels = np.array([0] + [1] * 10 + [0] * (harmless - 1))
        probability = np.linspace(1, 0, len(labels))
        return measure(Scored.of(labels, probability, 0.5))["recall_at_1_fpr"]

    assert at(99) == 0.0
    assert at(100) == 1.0


def test_calibration_error_is_the_gap_between_probability_and_share() -> None:
    probability = np.repeat([0.2, 0.7], 100)
    labels = np.concatenate([np.arange(100) < 30, np.arange(100) < 70]).astype(int)
    assert measure(Scored.of(labels, probability, 0.5))["calibration_error"] == pytest.approx(0.05)


def test_calibrated_probabilities_have_a_small_calibration_error() -> None:
    draw = np.random.default_rng(0)
    probability = draw.random(20_000)
    labels = (draw.random(20_000) < probability).astype(int)
    assert measure(Scored.of(labels, probability, 0.5))["calibration_error"] < 0.02
    assert measure(Scored.of(labels, probability**3, 0.5))["calibration_error"] > 0.1


@pytest.mark.parametrize(
    ("label", "known"), [(0, {"false_positive_rate", "brier"}), (1, {"recall", "brier"})]
)
def test_one_class_alone_has_only_its_own_figures_and_never_nan(label, known) -> None:
    measured = measure(Scored.of(np.full(30, label), np.linspace(0, 1, 30), 0.5))
    assert {name for name, value in measured.items() if value is not None} == known
    both = {name for name, metric in METRICS.items() if metric.needs_both_classes}
    assert not both & known


def test_precision_is_undefined_where_nothing_is_flagged() -> None:
    measured = measure(Scored.of(np.array([0, 1]), np.array([0.1, 0.2]), 0.9))
    assert (measured["precision"], measured["recall"], measured["f1"]) == (None, 0.0, 0.0)


@given(_ROWS, st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.29, 0.5, 1.0]))
def test_the_threshold_keeps_the_rate_and_no_lower_one_between_scores_does(rows, rate) -> None:
    labels, probability = _arrays(rows)
    harmless = probability[labels == 0]
    assume(len(harmless))
    threshold = threshold_at_fpr(labels, probability, rate)
    assert 0 <= threshold <= 1
    limit = rate + 1e-9
    if np.mean(harmless == 1.0) > limit:
        assert threshold == 1.0  # nothing keeps the rate, and this comes nearest
        return
    assert np.mean(harmless >= threshold) <= limit
    below = probability[probability < threshold]
    if len(below):
        assert np.mean(harmless >= below.max()) > limit


def test_the_threshold_lies_midway_between_neighbouring_scores() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    assert threshold_at_fpr(labels, probability, 0.01) == pytest.approx(0.6)
    assert threshold_at_fpr(labels, probability, 0.25) == pytest.approx(0.35)
    assert threshold_at_fpr(labels, probability, 1.0) == 0.0


def test_a_rate_that_a_float_cannot_hold_still_allows_its_whole_number_of_rows() -> None:
    # 0.29 * 100 is 28.999999999999996.
    probability = np.linspace(0.01, 0.99, 100)
    threshold = threshold_at_fpr(np.zeros(100), probability, 0.29)
    assert np.sum(probability >= threshold) == 29


def test_neighbouring_scores_without_a_number_between_them_are_still_parted() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    threshold = threshold_at_fpr(np.array([0, 1]), np.array([low, high]), 0.0)
    assert low < threshold <= high


def test_few_harmless_rows_allow_no_false_positive() -> None:
    probability = np.array([0.05, 0.6, 0.7, 0.9])
    threshold = threshold_at_fpr(np.array([0, 0, 1, 1]), probability, 0.01)
    assert 0.6 < threshold < 0.7


def test_what_cannot_be_measured_is_refused_with_its_value() -> None:
    with pytest.raises(DataError, match="harmless"):
        threshold_at_fpr(np.array([1]), np.array([0.5]), 0.01)
    with pytest.raises(InputError, match=r"1\.5"):
        threshold_at_fpr(np.array([0]), np.array([0.5]), 1.5)
    with pytest.raises(DataError, match="nan"):
        Scored.of(np.array([0]), np.array([np.nan]), 0.5)
    with pytest.raises(DataError, match="label is 2"):
        Scored.of(np.array([2]), np.array([0.5]), 0.5)
    with pytest.raises(DataError, match="pair up"):
        Scored.of(np.array([0, 1]), np.array([0.5]), 0.5)
    with pytest.raises(DataError, match="no row"):
        Scored.of(np.array([]), np.array([]), 0.5)


def test_choosing_a_threshold_loads_no_heavy_library() -> None:
    code = (
        "import sys, rampart.evaluation.metrics\n"
        "heavy = {'pandas', 'pydantic', 'sklearn', 'scipy', 'matplotlib', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
