from __future__ import annotations

from typing import Any

import pytest

from rampart.errors import InputError
from tests.unit.tuning.conftest import asked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": None}, "trials or seconds has to say when the study ends"),
        ({"trials": 0}, "trials cannot be 0"),
        ({"target": "forest"}, "target cannot be 'forest'"),
        ({"objectives": ("recall", "recall")}, "an objective is named twice"),
        ({"objectives": ("speed",)}, "objectives.0 cannot be 'speed'"),
        ({"objectives": ("recall", "cost"), "pruner": "asha"}, "two objectives cannot be pruned"),
        ({"target": "ensemble", "models": ("ngram",)}, "two or three different models"),
        ({"target": "cascade", "models": ("ngram", "ngram")}, "two or three different models"),
        ({"name": "a/b"}, "name cannot be 'a/b'"),
        ({"sample": 1}, "sample is 1"),
        ({"leaves": 3}, "leaves cannot be 3"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_by_name(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        asked(**given)


def test_one_objective_is_pruned_by_asha_and_two_by_nothing_unless_said() -> None:
    assert asked().pruned_by == "asha"
    assert asked(objectives=("recall", "cost")).pruned_by == "none"
    assert asked(pruner="hyperband").pruned_by == "hyperband"


def test_a_study_may_go_on_longer_but_not_differently() -> None:
    known = asked()
    assert not known.differences(asked(trials=9, seconds=60.0, retries=5))
    assert known.differences(asked(seed=1, folds=2, heartbeat=5)) == ["seed", "folds", "heartbeat"]
