"""What weighed is marked, and a mail's text cannot rule the terminal."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rampart.cli.highlight import excerpt, highlighted
from rampart.explain.contributions import Contributions


def _parts(*spans: tuple[int, int, float]) -> Contributions:
    start, end, value = np.array(spans, dtype=float).reshape(-1, 3).T
    return Contributions(start.astype(np.int64), end.astype(np.int64), value, 0.0)


def _styles(text: str, *spans: tuple[int, int, float]) -> dict[str, str]:
    shown = highlighted(text, _parts(*spans))
    return {text[span.start : span.end]: str(span.style) for span in shown.spans}


def test_red_speaks_for_a_threat_and_the_strongest_are_bold() -> None:
    assert _styles("free lunch now", (0, 4, 3.0), (5, 10, -1.6), (11, 14, 1.0)) == {
        "free": "bold red",
        "lunch": "bold green",
        "now": "red",
    }


def test_a_text_without_spans_is_shown_as_it_is() -> None:
    assert highlighted("plain", _parts()).plain == "plain"
    assert excerpt("", _parts(), 10).plain == ""


def test_an_excerpt_goes_around_the_strongest_span_in_one_line() -> None:
    text = "x " * 200 + "prize\nnow\t!" + " y" * 200
    at = text.index("prize")
    shown = excerpt(text, _parts((at, at + 5, 2.0), (0, 1, 0.1)), 100)
    assert shown.plain.startswith("\N{HORIZONTAL ELLIPSIS}")
    assert "prize now !" in shown.plain
    assert len(shown.plain) == 101
    marked = [shown.plain[span.start : span.end] for span in shown.spans]
    assert marked == ["prize"]


@given(st.text(), st.data())
def test_offsets_stay_whatever_the_text_holds(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    parts = _parts((start, end, 1.0)) if end > start else _parts()
    shown = highlighted(text, parts).plain
    assert len(shown) == len(text)
    line = excerpt(text, parts, 20).plain
    assert len(line) <= 21
    for character in shown + line:
        assert character in "\n\t" or not (ord(character) < 32 or 127 <= ord(character) < 160)
