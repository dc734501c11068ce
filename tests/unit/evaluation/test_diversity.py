"""Diversity of two models, from rows that one, both or neither gets right."""

from __future__ import annotations

import numpy as np
import pytest

from rampart.evaluation.diversity import diversity

HALF = {"a": 0.5, "b": 0.5}


def _models(
    both: int, alone: int, other: int, neither: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    a = [1.0] * (both + alone) + [0.0] * (other + neither)
    b = [1.0] * both + [0.0] * alone + [1.0] * other + [0.0] * neither
    return {"a": np.array(a), "b": np.array(b)}, np.ones(len(a), dtype=np.int8)


def test_the_measures_are_those_of_the_table_of_right_and_wrong() -> None:
    [pair] = diversity(*_with_thresholds(*_models(80, 8, 6, 6)))
    assert pair.models == ("a", "b")
    assert pair.q == pytest.approx((80 * 6 - 8 * 6) / (80 * 6 + 8 * 6))
    assert pair.alone == pytest.approx((0.06, 0.08))
    assert pair.disagreement == pytest.approx(0.14)
    assert pair.double_fault == pytest.approx(0.06)
    assert pair.shared_errors == pytest.approx(6 / 20)


def _with_thresholds(
    probabilities: dict[str, np.ndarray], labels: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]:
    return probabilities, HALF, labels


def test_models_that_make_up_for_each_other_have_a_negative_q() -> None:
    [pair] = diversity(*_with_thresholds(*_models(10, 40, 40, 10)))
    assert pair.q == pytest.approx(-0.8823529)


def test_without_errors_there_is_nothing_to_share() -> None:
    [pair] = diversity(*_with_thresholds(*_models(10, 0, 0, 0)))
    assert (pair.q, pair.disagreement, pair.shared_errors) == (None, 0.0, None)


def test_each_model_errs_at_its_own_threshold_on_both_classes() -> None:
    probabilities = {"a": np.array([0.3, 0.3, 0.9]), "b": np.array([0.3, 0.1, 0.2])}
    [pair] = diversity(probabilities, {"a": 0.2, "b": 0.25}, np.array([0, 1, 1], dtype=np.int8))
    # a is wrong on the first alone, b on all three.
    assert pair.double_fault == pytest.approx(1 / 3)
    assert pair.disagreement == pytest.approx(2 / 3)


def test_three_models_are_three_pairs() -> None:
    probabilities = {name: np.array([0.6]) for name in "abc"}
    pairs = diversity(probabilities, dict.fromkeys("abc", 0.5), np.array([1], dtype=np.int8))
    assert [pair.models for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
