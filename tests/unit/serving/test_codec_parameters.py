"""Request parameters, the same for every protocol."""

import math

import pytest

from rampart.errors import InputError
from serving.predictor.codec.request import Limits, options

LIMITS = Limits(top_k=5, max_top_k=50)


def test_what_is_not_sent_has_its_default():
    chosen = options({}, LIMITS)
    assert (chosen.top_k, chosen.explain, chosen.threshold) == (5, "contributions", None)


@pytest.mark.parametrize(("value", "read"), [(0, 0), (50, 50), ("7", 7)])
def test_top_k_is_read(value, read):
    assert options({"top_k": value}, LIMITS).top_k == read


@pytest.mark.parametrize(
    "value", [-1, 51, 1.5, 1e9, "x", "-1", "", "9" * 5000, None, True, [], {}, math.nan]
)
def test_any_other_top_k_is_refused_by_its_value(value):
    with pytest.raises(InputError, match=r"top_k is .+ 0 to 50"):
        options({"top_k": value}, LIMITS)


@pytest.mark.parametrize(("value", "read"), [(0, 0.0), (1, 1.0), (0.25, 0.25), ("0.25", 0.25)])
def test_threshold_is_read(value, read):
    assert options({"threshold": value}, LIMITS).threshold == read


@pytest.mark.parametrize(
    "value", [-0.1, 2, math.nan, math.inf, "nan", "a", "", None, True, [], 10**400]
)
def test_any_other_threshold_is_refused_by_its_value(value):
    with pytest.raises(InputError, match=r"threshold is .+ 0 to 1"):
        options({"threshold": value}, LIMITS)


@pytest.mark.parametrize("value", ["shap", "lime"])
def test_the_slow_explanations_are_promised_elsewhere(value):
    with pytest.raises(InputError, match="explainer computes it"):
        options({"explain": value}, LIMITS)


@pytest.mark.parametrize("value", ["", "None", None, 1, [], {}, True])
def test_any_other_explanation_is_refused(value):
    with pytest.raises(InputError, match="'contributions' or 'none'"):
        options({"explain": value}, LIMITS)


def test_no_explanation_takes_no_room():
    assert options({"explain": "none", "top_k": 9}, LIMITS).spans == 0


def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named():
    with pytest.raises(InputError, match=r"'top_K'.*top_k, explain, threshold"):
        options({"top_K": 1}, LIMITS)


def test_what_clients_of_the_protocol_send_of_themselves_is_let_pass():
    assert options({"binary_data_output": True, "timeout": 5}, LIMITS) == options({}, LIMITS)
