"""The vote is a sum of its models' logits and does no worse than either of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.ensembles.voting import (
    fit_soft_voting,
    fit_voting,
    hard_vote,
    mean_of_probabilities,
)
from rampart.errors import TrainingError
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration, fit_platt


def _models(
    seed: int, noises: list[float], count: int = 400
) -> tuple[dict[str, Floats], np.ndarray]:
    """Logits of models that see the same truth through noise, each on a scale of its own."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(count) < 0.4).astype(np.int8)
    labels[:2] = 0, 1
    return {
        f"m{number}": (number + 1) * (labels * 3.0 + draw.normal(scale=noise, size=count))
        for number, noise in enumerate(noises)
    }, labels


def _log_loss(logit: Floats, labels: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logit, logit))))


def _calibrations(logits: dict[str, Floats], labels: np.ndarray) -> dict[str, Calibration]:
    return {name: fit_platt(logit, labels) for name, logit in logits.items()}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.2, 4.0), min_size=1, max_size=3))
def test_the_vote_is_no_worse_than_any_model_and_its_weights_are_not_negative(
    seed: int, noises: list[float]
) -> None:
    logits, labels = _models(seed, noises)
    calibrations = _calibrations(logits, labels)
    (stage,) = fit_voting(logits, calibrations, labels).stages
    assert set(stage.weights) == set(logits)
    assert min(stage.weights.values()) >= 0
    together = _log_loss(stage.combine(logits), labels)
    alone = [_log_loss(calibrations[name](logit), labels) for name, logit in logits.items()]
    assert together <= min(alone) + 1e-6


def test_models_that_err_apart_do_better_together() -> None:
    logits, labels = _models(0, [2.0, 2.0], count=4_000)
    calibrations = _calibrations(logits, labels)
    (stage,) = fit_voting(logits, calibrations, labels).stages
    alone = min(_log_loss(calibrations[name](logits[name]), labels) for name in logits)
    assert _log_loss(stage.combine(logits), labels) < 0.9 * alone
    # Equally good models have equal shares, whatever the scale of their logits.
    shares = [stage.weights[name] / calibrations[name].scale for name in logits]
    assert shares[0] == pytest.approx(shares[1], rel=0.25)


def test_a_model_that_knows_nothing_gets_next_to_no_weight() -> None:
    logits, labels = _models(1, [0.5, 200.0])
    (stage,) = fit_voting(logits, _calibrations(logits, labels), labels).stages
    part = stage.weights["m1"] * logits["m1"].std()
    assert part < 0.1 * stage.weights["m0"] * logits["m0"].std()


def test_the_votes_probabilities_can_be_taken_at_their_word() -> None:
    logits, labels = _models(2, [3.0, 4.0], count=4_000)
    (stage,) = fit_voting(logits, _calibrations(logits, labels), labels).stages
    probability = sigmoid(stage.combine(logits))
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (probability >= low) & (probability < low + 0.2)
        assert labels[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.1)


@pytest.mark.parametrize("noises", [[0.5, 3.0], [3.0, 0.5], [1.0, 2.0, 4.0]])
def test_the_vote_needs_no_further_calibration(noises: list[float]) -> None:
    logits, labels = _models(4, noises)
    (stage,) = fit_voting(logits, _calibrations(logits, labels), labels).stages
    again = fit_platt(stage.combine(logits), labels)
    assert (again.scale, again.shift) == pytest.approx((1.0, 0.0), abs=1e-4)


def test_one_model_alone_votes_as_it_is_calibrated() -> None:
    logits, labels = _models(3, [1.0])
    calibrations = _calibrations(logits, labels)
    (stage,) = fit_voting(logits, calibrations, labels).stages
    assert stage.combine(logits) == pytest.approx(calibrations["m0"](logits["m0"]), abs=1e-5)


def test_a_split_of_one_class_is_refused() -> None:
    with pytest.raises(TrainingError, match="both classes"):
        fit_voting({"a": np.arange(3.0)}, {"a": Calibration()}, np.zeros(3, dtype=np.int8))


def test_without_weights_each_calibrated_model_has_the_same_share() -> None:
    logits, labels = _models(5, [0.5, 3.0, 30.0])
    calibrations = _calibrations(logits, labels)
    (stage,) = fit_soft_voting(logits, calibrations, labels).stages
    shares = [stage.weights[name] / calibrations[name].scale for name in logits]
    assert shares == pytest.approx([shares[0]] * 3)
    mean = np.mean([calibrations[name](logits[name]) for name in logits], axis=0)
    assert np.corrcoef(stage.combine(logits), mean)[0, 1] == pytest.approx(1.0)


def test_a_hard_vote_counts_the_models_at_their_own_thresholds() -> None:
    probabilities = {"a": np.array([0.9, 0.3, 0.1]), "b": np.array([0.6, 0.6, 0.1])}
    assert hard_vote(probabilities, {"a": 0.5, "b": 0.6}).tolist() == [1.0, 0.5, 0.0]
    assert mean_of_probabilities(probabilities).tolist() == pytest.approx([0.75, 0.45, 0.1])
