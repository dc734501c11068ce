"""What all models share: terms that stay a sum, and the two maps between logit and probability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.models.base import Terms, logit, sigmoid
from rampart.models.kinds import KINDS

numbers = st.floats(-30, 30)


@given(st.lists(numbers, max_size=8), numbers, numbers, numbers)
def test_scaled_terms_sum_to_the_scaled_logit(
    values: list[float], bias: float, scale: float, shift: float
) -> None:
    starts = np.arange(len(values))
    terms = Terms(starts, starts + 1, np.array(values, dtype=np.float64), bias)
    scaled = terms.scaled(scale, shift)
    wanted = scale * (bias + sum(values)) + shift
    assert scaled.bias + scaled.value.sum() == pytest.approx(wanted, abs=1e-9)
    assert scaled.start is terms.start


@given(st.floats(-30, 30))
def test_a_logit_survives_the_way_through_a_probability(value: float) -> None:
    there = sigmoid(np.array([value]))
    assert 0.0 < there[0] < 1.0
    assert logit(there)[0] == pytest.approx(value, abs=1e-2)


def test_no_logit_overflows() -> None:
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e300, 0.0, 1e300])).tolist() == [0.0, 0.5, 1.0]


def test_a_kind_is_known_by_the_name_that_its_class_gives() -> None:
    assert {name: kind.kind for name, kind in KINDS.items()} == {
        "ngram": "ngram",
        "tabular": "tabular",
        "encoder": "encoder",
    }
