"""Platt scaling finds the map that makes a logit a probability's, and refuses what has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rampart.errors import TrainingError
from rampart.models.base import sigmoid
from rampart.models.calibration import Calibration, fit_platt


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.2, -1.0), (3.0, 2.0)])
def test_a_known_map_is_found_again(scale: float, shift: float) -> None:
    draw = np.random.default_rng(0)
    logit = draw.normal(size=40_000) / scale
    labels = (draw.random(logit.size) < sigmoid(scale * logit + shift)).astype(np.int8)
    found = fit_platt(logit, labels)
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.shift == pytest.approx(shift, abs=0.05)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 200), st.sampled_from([1e-4, 1.0, 50.0, 1e6]))
def test_the_fit_is_where_platts_loss_is_flat(seed: int, count: int, spread: float) -> None:
    draw = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int8) % 2
    logit = spread * (draw.standard_t(2, size=count) + 2.0 * labels)
    try:
        found = fit_platt(logit, labels)
    except TrainingError:
        # The loss is convex: only where logits do not rise with the label is no scale above zero.
        assert np.cov(logit, labels)[0, 1] <= 1e-9 * spread
        return
    positives = int(labels.sum())
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (count - positives + 2))
    error = sigmoid(found(logit)) - target
    assert abs(error.sum()) < 1e-4 * count
    assert abs((error * logit / logit.std()).sum()) < 1e-4 * count


def test_classes_that_are_parted_without_an_error_get_a_finite_scale() -> None:
    logit = np.array([-3.0, -2.0, 2.0, 3.0])
    found = fit_platt(logit, np.array([0, 0, 1, 1], dtype=np.int8))
    assert 0 < found.scale < 10
    # Platt's targets, and no certainty: 3/4 for the threats, 1/4 for the rest.
    assert sigmoid(found(logit)) == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.1)


def test_the_scale_of_the_logits_does_not_matter() -> None:
    draw = np.random.default_rng(1)
    labels = np.arange(200, dtype=np.int8) % 2
    logit = draw.normal(size=200) + labels
    small, large = fit_platt(logit, labels), fit_platt(logit * 1e5 + 3, labels)
    assert large(logit * 1e5 + 3) == pytest.approx(small(logit), abs=1e-5)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label: int) -> None:
    with pytest.raises(TrainingError, match=f"{3 * (1 - label)} of 0 and {3 * label} of 1"):
        fit_platt(np.arange(3.0), np.full(3, label, dtype=np.int8))


def test_no_rows_are_refused() -> None:
    with pytest.raises(TrainingError, match="both classes"):
        fit_platt(np.zeros(0), np.zeros(0, dtype=np.int8))


@pytest.mark.parametrize("logit", [[2.0, 1.0, -1.0, -2.0], [1.0, 1.0, 1.0, 1.0]])
def test_a_model_that_ranks_upside_down_or_not_at_all_is_refused(logit: list[float]) -> None:
    with pytest.raises(TrainingError, match="does not rank threats above"):
        fit_platt(np.array(logit), np.array([0, 0, 1, 1], dtype=np.int8))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_logit_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(TrainingError, match="1 of the 3 logits"):
        fit_platt(np.array([0.0, value, 1.0]), np.array([0, 1, 1], dtype=np.int8))


@pytest.mark.parametrize("document", ['{"scale": NaN}', '{"shift": Infinity}', '{"slope": 1}'])
def test_a_calibration_that_means_nothing_is_refused(document: str) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate_json(document)
