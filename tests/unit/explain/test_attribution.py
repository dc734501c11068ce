"""Attributions lie in their text, and words are taken out of it without touching the rest."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import clean
from rampart.errors import InputError
from rampart.explain.attribution import Attribution, Budget, from_contributions, words
from rampart.explain.contributions import contributions
from rampart.explain.metering import Meter, logits
from rampart.explain.units import Units
from rampart.models.base import Terms

HOSTILE = st.text(
    alphabet="ab Re:>\r\n\t<>/&;=\"'é\u0301\u200b\u202e\ud800\x00\U0001f600_1x.#", max_size=80
) | st.sampled_from(
    [
        "<p>free&nbsp;pri<b></b>ze &amp; more</p>",
        "a\r\nb \U0001f600 c",
        "<p>&NotEqualTilde;&fjlig; &lt;&gt;",
        "x" * 200,
        "<script>unseen()</script>seen<!-- not --> here",
        "> quoted\nkept",
    ]
)


def _attribution(start: list[int], end: list[int], value: list[float]) -> Attribution:
    return Attribution(
        start=np.array(start, dtype=np.int64),
        end=np.array(end, dtype=np.int64),
        value=np.array(value, dtype=np.float64),
        base=0.5,
        logit=2.0,
        method="a method",
    )


# --- attributions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "value", "message"),
    [
        ([0, 2], [1], [1.0], "different numbers"),
        ([0], [0], [1.0], "empty or starts before"),
        ([3], [2], [1.0], "empty or starts before"),
        ([-1], [2], [1.0], "empty or starts before"),
        ([4, 0], [5, 1], [1.0, 2.0], "out of order"),
        ([0], [1], [float("nan")], "not finite"),
        ([0], [1], [float("inf")], "not finite"),
    ],
)
def test_columns_that_make_no_explanation_are_refused(
    start: list[int], end: list[int], value: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _attribution(start, end, value)


def test_a_logit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        Attribution(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 0.0, float("nan"), "m")


def test_an_attribution_belongs_to_a_text_that_holds_its_spans() -> None:
    found = _attribution([0, 4], [3, 9], [1.0, 0.25])
    found.check("win prize")
    with pytest.raises(InputError, match="ends at 9, the text at 8"):
        found.check("win priz")
    with pytest.raises(InputError, match="ends at 9"):
        found.on(Units.of("win"))
    _attribution([], [], []).check("")


def test_what_the_sum_misses_is_told() -> None:
    assert _attribution([0, 4], [3, 9], [1.0, 0.25]).unexplained == pytest.approx(0.25)


def test_a_document_is_json_and_holds_all_of_it() -> None:
    found = _attribution([0, 4], [3, 9], [1.0, 0.25])
    document = json.loads(json.dumps(found.as_document(), allow_nan=False))
    assert document == {
        "method": "a method", "start": [0, 4], "end": [3, 9], "value": [1.0, 0.25],
        "base": 0.5, "logit": 2.0, "seed": None, "calls": 0, "seconds": 0.0, "complete": True,
    }  # fmt: skip


def test_contributions_come_in_the_order_of_the_text_and_keep_their_sum() -> None:
    terms = Terms(np.array([0, 4, 10]), np.array([3, 9, 13]), np.array([1.0, 2.0, -3.0]), 0.5)
    parts = contributions(clean("win prize now"), [terms], 0.0, 2)
    found = from_contributions(parts)
    assert found.start.tolist() == [4, 10]
    assert found.value.tolist() == [2.0, -3.0]
    assert (found.base, found.logit) == (1.5, 0.5)
    assert found.unexplained == pytest.approx(0.0)
    assert (found.method, found.calls, found.complete) == ("contributions", 0, True)


@pytest.mark.parametrize("evaluations", [-1, 0, 1])
def test_a_budget_for_less_than_the_text_with_and_without_words_is_refused(
    evaluations: int,
) -> None:
    with pytest.raises(InputError, match=f"budget of {evaluations} evaluations"):
        Budget(evaluations)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_budget_of_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="seconds is none"):
        Budget(10, seconds)


# --- words -------------------------------------------------------------------------------------


def test_words_are_spans_of_the_text_as_sent() -> None:
    text = "<p>free&nbsp;pri<b></b>ze &amp; \U0001f600\r\nmore!</p>"
    assert [text[a:b] for a, b in words(text)] == [
        "free", "pri<b></b>ze", "&amp;", "\U0001f600", "more", "!",
    ]  # fmt: skip


def test_signs_that_one_entity_stands_for_are_one_word() -> None:
    text = "<p>a &NotEqualTilde; b"
    assert [text[a:b] for a, b in words(text)] == ["a", "&NotEqualTilde;", "b"]


def test_a_word_without_end_comes_in_the_pieces_that_contributions_show() -> None:
    text = "x" * 200
    terms = Terms(np.arange(200), np.arange(1, 201), np.ones(200), 0.0)
    parts = from_contributions(contributions(clean(text), [terms], 0.0, 10))
    assert words(text) == list(zip(parts.start.tolist(), parts.end.tolist(), strict=True))
    assert len(words(text)) == 4


def test_a_word_is_taken_out_and_the_markup_stays() -> None:
    text = "<p>free pri<b></b>ze &amp; <a href='http://x.example/'>more</a></p>"
    units = Units.of(text)
    keep = np.array([True, False, False, False])
    assert units.kept(keep) == "<p>free <b></b>  <a href='http://x.example/'></a></p>"


def test_more_words_than_the_limit_are_grouped_and_none_is_left_out() -> None:
    text = "a b c d <i>e</i> f g"
    units = Units.of(text, 3)
    spans = zip(units.start.tolist(), units.end.tolist(), strict=True)
    assert [text[a:b] for a, b in spans] == ["a b c", "d <i>e", "f g"]
    assert units.kept(np.zeros(3, dtype=bool)).split() == ["<i></i>"]
    assert units.first.tolist() == [0, 3, 5]


@settings(max_examples=300, deadline=None)
@given(HOSTILE, st.integers(1, 8) | st.none(), st.randoms(use_true_random=False))
@example("\r\n", None, None)
def test_units_lie_in_any_text_and_what_goes_are_their_characters_alone(
    text: str, limit: int | None, random: object
) -> None:
    units = Units.of(text, limit)
    edges = np.stack([units.start, units.end], axis=1).ravel()
    assert np.all(np.diff(edges.reshape(-1, 2), axis=1) > 0)
    assert np.all(np.diff(edges) >= 0)
    assert not len(edges) or (edges[0] >= 0 and edges[-1] <= len(text))
    assert limit is None or len(units) <= limit
    assert "".join(units.segments) == text
    assert units.kept(np.ones(len(units), dtype=bool)) == text
    for one in range(len(units)):
        keep = np.arange(len(units)) != one
        gone = [s for s, owner in zip(units.segments, units.owners, strict=True) if owner == one]
        left = units.kept(keep)
        assert len(left) == len(text) - sum(map(len, gone)) < len(text)
        assert left.startswith(text[: units.start[one]])
        assert left.endswith(text[units.end[one] :])


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_words_of_any_text_are_those_of_its_clean_form(text: str) -> None:
    aligned = clean(text)
    spans = words(text)
    assert len(spans) >= min(1, len(aligned.words))
    start, end = aligned.to_source(aligned.word_spans[:, 0], aligned.word_spans[:, 1])
    covered = np.zeros(len(text) + 1, dtype=bool)
    for a, b in spans:
        covered[a:b] = True
    assert all(covered[a:b].all() for a, b in zip(start.tolist(), end.tolist(), strict=True))


def test_a_spans_value_is_shared_by_the_words_that_it_touches() -> None:
    units = Units.of("<a href='http://x.example/'>pay now</a> or leave")
    text = units.source
    pay, href, orl = text.index("pay"), text.index("http"), text.index("or ")
    start = np.array([href, pay, pay + 1, orl])
    end = np.array([href + 5, pay + 7, pay + 2, len(text)])
    value, touched = units.values(start, end, np.array([9.0, 2.0, 0.5, 3.0]))
    assert value.tolist() == [1.5, 1.0, 1.5, 1.5]
    assert touched.tolist() == [True, True, True, True]
    value, touched = units.values(start[:3], end[:3], np.array([9.0, 2.0, 0.5]))
    assert value.tolist() == [1.5, 1.0, 0.0, 0.0]
    assert touched.tolist() == [True, True, False, False]


def test_a_span_is_no_business_of_the_words_that_it_only_borders_on() -> None:
    units = Units.of("a.b")
    value, touched = units.values(np.array([1]), np.array([2]), np.array([1.0]))
    assert value.tolist() == [0.0, 1.0, 0.0]
    assert touched.tolist() == [False, True, False]


def test_taking_words_out_of_a_long_line_takes_a_time_that_grows_with_its_length() -> None:
    def seconds(size: int) -> float:
        text = "<b>ab&amp;c</b> " * (size // 16)
        best = float("inf")
        for _ in range(3):
            started = time.perf_counter()
            units = Units.of(text)
            units.kept(np.arange(len(units)) % 2 == 0)
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds(1_000_000) < 40 * seconds(100_000)


# --- metering ----------------------------------------------------------------------------------


def _lengths(texts: list[str]) -> np.ndarray:
    return np.array([float(len(text)) for text in texts])


def test_texts_are_scored_in_batches_and_in_order() -> None:
    seen: list[int] = []

    def score(texts: list[str]) -> np.ndarray:
        seen.append(len(texts))
        return _lengths(texts)

    assert logits(score, ["a", "bb", "ccc", "dddd", "e"], batch=2).tolist() == [1, 2, 3, 4, 1]
    assert seen == [2, 2, 1]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros(3), "scored by an array of"),
        (np.zeros((2, 1)), "scored by an array of"),
        (np.array([0.0, np.nan]), "not finite"),
    ],
)
def test_a_model_that_gives_no_logit_for_each_text_is_refused(
    answer: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        logits(lambda _: answer, ["a", "b"])


def test_a_meter_scores_no_more_than_its_budget_and_says_how_much() -> None:
    meter = Meter(_lengths, Units.of("one two three"), Budget(4), batch=3)
    assert (meter.logit, meter.base, meter.calls, meter.left) == (13.0, 2.0, 2, 2)
    found = meter(~np.eye(3, dtype=bool))
    assert found.tolist() == [10.0, 10.0]
    assert (meter.calls, meter.left) == (4, 0)
    assert not meter(~np.eye(3, dtype=bool)).size


def test_a_meter_stops_before_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def score(texts: list[str]) -> np.ndarray:
        now[0] += 1.0 * len(texts)
        return _lengths(texts)

    monkeypatch.setattr("rampart.explain.metering.perf_counter", lambda: now[0])
    meter = Meter(score, Units.of("one two three"), Budget(100, seconds=5.5), batch=2)
    assert meter.likely == 3
    assert len(meter(np.ones((10, 3), dtype=bool))) == 2
    assert now[0] == 4.0
