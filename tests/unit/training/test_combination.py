"""The ways to combine are found by name, and do what their name says."""

from __future__ import annotations

import numpy as np
import pytest

from rampart.errors import InputError
from rampart.models.calibration import Calibration
from rampart.training.combination import COMBINATIONS, combination
from tests.conftest import labelled

TRAIN, VALIDATION = labelled(120, 50), labelled(60, 51)


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("voting", {"ngram", "tabular", "encoder"}),
        ("soft", {"ngram", "tabular", "encoder"}),
        ("stacking", {"ngram", "tabular"}),
        ("ngram=0.3,encoder=0.7", {"ngram", "encoder"}),
        ("ngram=1,tabular=0", {"ngram"}),
    ],
)
def test_each_way_weighs_the_models_that_it_can(name: str, members: set[str]) -> None:
    labels = VALIDATION.labels
    noise = np.random.default_rng(0).normal(size=(3, len(labels)))
    logits = dict(zip(("ngram", "tabular", "encoder"), noise + 2.0 * labels, strict=True))
    combine = combination(name, TRAIN, VALIDATION)
    ensemble = combine(logits, {model: Calibration() for model in logits}, labels)
    assert set(ensemble.models) == members
    together = ensemble.stages[-1].combine(logits)
    assert together[labels == 1].mean() > together[labels == 0].mean()


def test_shares_that_are_given_are_those_of_the_vote() -> None:
    labels = VALIDATION.labels
    logits = {"a": labels - 0.5, "b": np.roll(labels, 1) - 0.5}
    calibrations = dict.fromkeys(logits, Calibration())
    ensemble = combination("a=3,b=1", TRAIN, VALIDATION)(logits, calibrations, labels)
    weights = ensemble.stages[0].weights
    assert weights["a"] == pytest.approx(3 * weights["b"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a=much", "no shares of a vote"),
        ("a=-1,b=2", "no shares of a vote"),
        ("a=0", "no shares of a vote"),
        ("c=1", "no model 'c'"),
    ],
)
def test_shares_that_cannot_be_given_are_refused(name: str, said: str) -> None:
    labels = VALIDATION.labels
    logits = {"a": labels - 0.5, "b": labels - 0.5}
    with pytest.raises(InputError, match=said):
        combination(name, TRAIN, VALIDATION)(logits, {}, labels)


def test_a_way_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match=", ".join(COMBINATIONS)):
        combination("boosting", TRAIN, VALIDATION)
