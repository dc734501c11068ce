"""Contributions gather the models' terms into words of the text as sent, and lose nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import clean
from rampart.explain.contributions import Contributions, contributions
from rampart.models.base import Terms


def _terms(spans: list[tuple[int, int, float]], bias: float = 0.0) -> Terms:
    columns = np.array(spans, dtype=np.float64).reshape(-1, 3)
    start, end = columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64)
    return Terms(start, end, columns[:, 2], bias)


def _words(source: str, parts: Contributions) -> list[str]:
    return [source[a:b] for a, b in zip(parts.start, parts.end, strict=True)]


@st.composite
def texts_and_terms(draw: st.DrawFn) -> tuple[str, list[Terms]]:
    """A text, and the terms of one or two models that split it each in a way of its own."""
    source = draw(st.text(alphabet="ab \n.<>/&;é\u0301\U0001f600_1", max_size=60))
    length = len(clean(source).text)
    models = []
    for _ in range(draw(st.integers(1, 2))):
        spans = []
        for _ in range(draw(st.integers(0, 8)) if length else 0):
            start = draw(st.integers(0, length - 1))
            end = draw(st.integers(start + 1, length))
            spans.append((start, end, draw(st.floats(-5, 5))))
        models.append(_terms(spans, draw(st.floats(-5, 5))))
    return source, models


@settings(max_examples=300, deadline=None)
@given(texts_and_terms(), st.integers(0, 20), st.floats(-5, 5))
def test_bias_and_values_make_up_the_logit_whatever_is_kept(
    case: tuple[str, list[Terms]], top_k: int, intercept: float
) -> None:
    source, models = case
    parts = contributions(clean(source), models, intercept, top_k)
    logit = intercept + sum(terms.bias + terms.value.sum() for terms in models)
    assert parts.bias + parts.value.sum() == pytest.approx(logit, abs=1e-9)
    assert len(parts.start) == len(parts.end) == len(parts.value) <= top_k
    assert np.all(parts.value != 0)
    assert np.all(np.diff(np.abs(parts.value)) <= 0)
    assert np.all((parts.start >= 0) & (parts.start < parts.end) & (parts.end <= len(source)))
    assert len(set(parts.start.tolist())) == len(parts.start)


def test_pieces_of_a_word_add_up_across_models() -> None:
    source = "win prize"
    pieces = _terms([(0, 3, 1.0), (4, 6, 2.0), (6, 9, 3.0)], bias=0.5)
    words = _terms([(0, 3, -0.5), (4, 9, 1.0)], bias=0.25)
    parts = contributions(clean(source), [pieces, words], -1.0, 10)
    assert _words(source, parts) == ["prize", "win"]
    assert parts.value.tolist() == [6.0, 0.5]
    assert parts.bias == pytest.approx(-0.25)


def test_the_strongest_are_kept_whichever_way_they_pull() -> None:
    source = "a b c"
    parts = contributions(clean(source), [_terms([(0, 1, 1.0), (2, 3, -3.0), (4, 5, 2.0)])], 0.0, 2)
    assert _words(source, parts) == ["b", "c"]
    assert parts.bias == pytest.approx(1.0)


def test_words_are_shown_as_they_were_sent() -> None:
    source = "<p>free&nbsp;pri<b></b>ze &amp; more</p>"
    aligned = clean(source)
    at = aligned.text.index("prize")
    parts = contributions(aligned, [_terms([(at, at + 5, 1.0)])], 0.0, 5)
    assert _words(source, parts) == ["pri<b></b>ze"]


def test_a_word_without_end_is_shown_in_pieces() -> None:
    source = "x" * 200
    parts = contributions(clean(source), [_terms([(0, 200, 1.0)])], 0.0, 5)
    assert (parts.start.tolist(), parts.end.tolist()) == ([0], [64])
    later = contributions(clean(source), [_terms([(190, 200, 1.0)])], 0.0, 5)
    assert (later.start.tolist(), later.end.tolist()) == ([128], [192])


def test_a_term_before_the_first_word_counts_for_it() -> None:
    source = "\nword"
    parts = contributions(clean(source), [_terms([(0, 1, 1.0)])], 0.0, 5)
    assert _words(source, parts) == ["word"]


def test_a_text_without_words_is_all_bias() -> None:
    parts = contributions(clean(" \n "), [_terms([(0, 1, 1.0)], bias=0.5)], 0.25, 5)
    assert parts.bias == pytest.approx(1.75)
    assert not parts.value.size


def test_a_term_of_the_source_is_shared_by_its_words_and_else_a_span_of_its_own() -> None:
    source = "<a href='http://x.example/'>pay now</a> or leave"
    seen, unseen = source.index("pay now"), source.index("http")
    terms = Terms(
        np.array([seen, unseen]), np.array([seen + 7, unseen + 17]), np.array([2.0, 3.0]), 0.5, True
    )
    parts = contributions(clean(source), [terms], 0.0, 10)
    assert dict(zip(_words(source, parts), parts.value.tolist(), strict=True)) == {
        "http://x.example/": 3.0, "pay": 1.0, "now": 1.0,
    }  # fmt: skip
    assert parts.bias == 0.5
