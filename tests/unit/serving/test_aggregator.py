"""One answer of several: what counts, what is refused, and that the explanation stays a sum."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rampart.errors import InputError, OverloadedError
from serving.aggregator.model import aggregate
from serving.aggregator.settings import AggregatorSettings
from serving.aggregator.steps import read


def _v2(logits, spans=None, labels="ham,spam", **more):
    count = len(logits)
    chances = [1 / (1 + math.exp(-value)) for value in logits]
    names = labels.split(",")
    outputs = [
        ("label", [count], [names[int(value >= 0)] for value in logits]),
        ("probability", [count], chances),
        ("logit", [count], list(logits)),
    ]
    if spans is not None:
        [width] = {len(row) for row in spans}
        edges = [edge for row in spans for start, end, _ in row for edge in (start, end)]
        outputs += [
            ("span", [count, width, 2], edges),
            ("contribution", [count, width], [value for row in spans for _, _, value in row]),
            ("bias", [count], [
                logit - sum(value for _, _, value in row)
                for logit, row in zip(logits, spans, strict=True)
            ]),
        ]  # fmt: skip
    return {
        "outputs": [{"name": n, "shape": s, "datatype": "X", "data": d} for n, s, d in outputs],
        "parameters": {"labels": labels},
    } | more


def _ask(document, **settings):
    # As the router sends it: through JSON once more.
    return aggregate(read(json.loads(json.dumps(document))), AggregatorSettings(**settings))


def test_labels_are_counted_and_the_share_is_the_probability() -> None:
    document = {"a": _v2([3, -1]), "b": _v2([0.1, -2]), "c": _v2([-9, -3])}
    answer = _ask(document, method="voting")
    assert [one.label for one in answer.verdicts] == ["spam", "ham"]
    assert answer.verdicts[0].probability == pytest.approx(2 / 3)
    assert answer.verdicts[1].probability < 1e-5
    assert answer.models == ("a", "b", "c")
    assert answer.verdicts[0].models["c"] < 0.001


def test_logits_are_averaged_by_weight_and_stacked_with_an_intercept() -> None:
    document = {"a": _v2([4.0]), "b": _v2([-2.0])}
    [equal] = _ask(document, method="weighted").verdicts
    [weighed] = _ask(document, method="weighted", weights="a=3,b=1").verdicts
    [stacked] = _ask(document, method="stacking", weights="a=2,b=0.5", intercept=-1).verdicts
    assert [equal.logit, weighed.logit, stacked.logit] == [1.0, 2.5, 6.0]
    assert stacked.stage == "stacking"


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.integers(31, 40), st.floats(-5, 5)),
            min_size=4, max_size=4,
        ),
        min_size=2, max_size=4,
    ),
    st.integers(0, 6),
)  # fmt: skip
def test_the_explanation_of_the_whole_is_the_weighted_sum_of_theirs(steps, top_k) -> None:
    document = {str(number): _v2([number - 1.0], [spans]) for number, spans in enumerate(steps)}
    weights = {name: 1.0 + int(name) for name in document}
    [verdict] = _ask(
        document, method="stacking", weights=weights, intercept=0.5, top_k=top_k
    ).verdicts
    parts = verdict.explanation
    assert len(parts.value) <= top_k
    assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-9)
    assert np.all(np.diff(np.abs(parts.value)) <= 0)
    assert len(set(zip(parts.start.tolist(), parts.end.tolist(), strict=True))) == len(parts.value)


def test_where_one_step_explains_nothing_neither_does_the_whole() -> None:
    document = {"a": _v2([1.0], [[(0, 3, 0.5)]]), "b": {"predictions": [0.9]}}
    [verdict] = _ask(document, method="weighted").verdicts
    assert len(verdict.explanation.value) == 0
    assert verdict.explanation.bias == verdict.logit
    assert verdict.logit == pytest.approx((1.0 + math.log(9)) / 2)


def test_v1_answers_count_as_v2_answers_do() -> None:
    row = {
        "label": "spam", "probability": 0.73, "logit": 1.0, "bias": 0.25,
        "contributions": [{"start": 0, "end": 3, "value": 0.75}],
    }  # fmt: skip
    first = {"predictions": [row], "parameters": {"labels": "ham,spam"}}
    both = _ask({"a": first, "b": _v2([1.0], [[(0, 3, 0.75)]])}, method="weighted").verdicts[0]
    assert both.logit == pytest.approx(1.0)
    assert both.explanation.value.tolist() == [0.75]


FAILED = {"a": _v2([2.0]), "b": {"error": "503: the queue is full"}}


def test_a_failed_step_is_refused_or_done_without_as_it_was_told() -> None:
    with pytest.raises(OverloadedError, match="'b' has failed: 503: the queue"):
        _ask(FAILED, method="weighted")
    answer = _ask(FAILED, method="weighted", missing="ignore", weights="a=1,b=9")
    assert answer.verdicts[0].logit == 2.0
    assert answer.parameters()["missing"] == "b"
    with pytest.raises(OverloadedError, match="'c' has failed: it is not among"):
        _ask({"a": _v2([2.0])}, method="weighted", weights="a=1,c=1")


def test_where_all_that_count_have_failed_there_is_no_answer() -> None:
    with pytest.raises(OverloadedError):
        _ask({"a": {"error": "x"}}, missing="ignore")
    with pytest.raises(OverloadedError, match="have a weight"):
        _ask(FAILED, method="weighted", missing="ignore", weights="a=0,b=1")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "The body is"),
        ({}, "The body is"),
        ({"a": 3}, "step 'a'"),
        ({"a": _v2([1.0]), "b": _v2([1.0, 2.0])}, "different numbers"),
        ({"a": _v2([1.0]), "b": _v2([1.0], labels="no,yes")}, "different labels"),
        ({"a": {"outputs": [{"name": "probability", "shape": [1], "data": [7]}]}}, "step 'a'"),
        ({"a": {"outputs": [{"name": "logit", "shape": [1], "data": ["x"]}]}}, "step 'a'"),
        ({"a": {"outputs": [{"name": "logit", "shape": [2], "data": [1]}]}}, "step 'a'"),
        ({"a": {"outputs": [{"name": "other", "shape": [1], "data": [1]}]}}, "step 'a'"),
        ({"a": {"outputs": 3}}, "step 'a'"),
        ({"a": {"predictions": []}}, "step 'a'"),
        ({"a": {"predictions": [{"label": "spam"}]}}, "neither logits"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_and_named(document, words) -> None:
    with pytest.raises(InputError, match=words):
        _ask(document, method="weighted")


def test_a_step_without_a_weight_is_named() -> None:
    with pytest.raises(InputError, match="'b' has no weight"):
        _ask({"a": _v2([1.0]), "b": _v2([1.0])}, method="weighted", weights="a=1")


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "stacking"},
        {"method": "stacking", "weights": "a=1", "missing": "ignore"},
        {"method": "weighted", "weights": "a=-1,b=2"},
        {"method": "weighted", "weights": "a"},
        {"method": "median"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings) -> None:
    with pytest.raises(ValidationError):
        AggregatorSettings(**settings)


def test_weights_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPART_WEIGHTS", "ngram=0.7, encoder=0.3")
    assert AggregatorSettings().weights == {"ngram": 0.7, "encoder": 0.3}
