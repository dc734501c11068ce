"""Stages combine logits linearly, and the last one settles all."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from rampart.ensembles.base import Ensemble, Stage


def test_a_stage_is_a_weighted_sum_and_an_intercept() -> None:
    stage = Stage(name="vote", weights={"a": 2.0, "b": -1.0}, intercept=0.5)
    logits = {"a": np.array([1.0, 0.0]), "b": np.array([3.0, 4.0]), "c": np.array([9.0, 9.0])}
    assert stage.combine(logits).tolist() == [-0.5, -3.5]


def test_models_are_named_once_in_the_order_in_which_they_are_asked() -> None:
    first = Stage(name="cheap", weights={"ngram": 1.0}, unsure=(0.1, 0.9))
    last = Stage(name="stack", weights={"encoder": 1.0, "ngram": 1.0})
    assert Ensemble(kind="cascade", stages=(first, last)).models == ("ngram", "encoder")


def test_a_last_stage_that_hands_on_is_refused() -> None:
    with pytest.raises(ValidationError, match="the last stage, cheap, has to settle"):
        Ensemble(kind="cascade", stages=(Stage(name="cheap", weights={"a": 1}, unsure=(0.1, 0.9)),))


@pytest.mark.parametrize("unsure", [(0.9, 0.1), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_band_that_is_none_is_refused(unsure: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        Stage(name="cheap", weights={"a": 1.0}, unsure=unsure)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": {}},
        {"name": ""},
        {"weights": {"a": float("nan")}},
        {"intercept": float("inf")},
        {"kind": "x"},
    ],
)
def test_a_stage_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Stage.model_validate({"name": "vote", "weights": {"a": 1.0}} | wrong)


def test_an_ensemble_without_stages_is_refused() -> None:
    with pytest.raises(ValidationError):
        Ensemble(kind="voting", stages=())
