"""Spans that are counted rather than asked for are where the matches are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.spans import visible_spans

WORDS = re.compile(r"\w+|[^\w\s]|\s+")


@given(st.text())
def test_the_spans_are_those_of_the_matches_that_are_no_white_space(text: str) -> None:
    matches = [match.span() for match in WORDS.finditer(text) if not match.group().isspace()]
    assert [tuple(span) for span in visible_spans(WORDS, text).tolist()] == matches


def test_no_text_has_no_spans() -> None:
    assert visible_spans(WORDS, "").shape == (0, 2)
    assert visible_spans(WORDS, " \n").shape == (0, 2)


def test_a_pattern_that_leaves_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves gaps"):
        visible_spans(re.compile(r"\w+"), "a b")
