"""V1: instances in, predictions out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import InputError, TooLargeError
from serving.predictor.codec.request import Limits
from serving.predictor.codec.v1 import decode

LIMITS = Limits(texts=4, text_bytes=20)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_strings_and_objects_mean_the_same(texts):
    objects = [{"text": text} for text in texts]
    assert (
        decode({"instances": texts}, LIMITS).request
        == decode({"instances": objects}, LIMITS).request
    )
    assert decode({"instances": texts}, LIMITS).request.texts == tuple(texts)


def test_bytes_are_read_as_json():
    assert decode(b'{"instances": ["a"]}', LIMITS).request.texts == ("a",)


def test_parameters_stand_beside_the_instances_or_in_their_own_object():
    beside = decode({"instances": ["a"], "top_k": 2, "explain": "none"}, LIMITS)
    inside = decode({"instances": ["a"], "parameters": {"top_k": 2, "explain": "none"}}, LIMITS)
    assert beside.request == inside.request
    assert beside.request.options.top_k == 2


def test_ids_stay_with_their_instances():
    instances = [{"text": "a", "id": "1"}, "b"]
    assert decode({"instances": instances}, LIMITS).request.ids == ("1", None)


def test_the_document_is_left_as_it_was():
    document = {"instances": ["a"]}
    decode(document, LIMITS)
    assert document == {"instances": ["a"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        None,
        "text",
        {},
        {"instances": "a"},
        {"instances": {}},
        {"instances": []},
        {"instances": [1]},
        {"instances": [None]},
        {"instances": [["a"]]},
        {"instances": [{}]},
        {"instances": [{"text": 1}]},
        {"instances": [{"txt": "a"}]},
        {"instances": [{"text": "a", "id": 1}]},
        {"instances": ["a"], "parameters": []},
        {"instances": ["a"], "parameters": {"top_k": 1}, "top_k": 1},
        {"instances": ["a"], "topk": 1},
        {"inputs": ["a"]},
    ],
)
def test_anything_else_is_refused_with_a_way_out(body):
    with pytest.raises(InputError) as refused:
        decode(body, LIMITS)
    assert refused.value.problem
    assert refused.value.remedy


@pytest.mark.parametrize("instances", [["a"] * 5, ["a" * 21]])
def test_over_a_limit_is_its_own_refusal(instances):
    with pytest.raises(TooLargeError):
        decode({"instances": instances}, LIMITS)
