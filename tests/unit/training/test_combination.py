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


def test_a_way_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match=", ".join(COMBINATIONS)):
        combination("boosting", TRAIN, VALIDATION)
