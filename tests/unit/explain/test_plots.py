"""Plots are well-formed, the same each time, safe beside each other, and show any word."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.drawing import plain
from rampart.explain import plots
from rampart.explain.aggregate import Importance, WordImportance
from rampart.explain.attribution import Attribution
from rampart.explain.contrast import Contrast, WordShift
from rampart.explain.plots import Cost, Curve
from rampart.resampling import Interval

_HOSTILE = [
    "$x$", "$\\frac{1}{0$", "_hidden", "<script>alert(1)</script>", "模型", "שלום", "مرحبا", "नमस्ते",
    "\U0001f600", "bell\x07", "nul\x00", "\ud800", "\u202eevil", "n" * 200, "", " ", "&amp;", "]]>",
    'id="a', "font-family: a;", "#0a0b0c", ": #d55e00", "url(#a)", "\ufffe", "a\nb", "-->",
]  # fmt: skip
_SHARE = np.array([0.05, 0.1, 0.2])


def _interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high)


def _spans(text: str, value: list[float], method: str = "occlusion") -> Attribution:
    """One span for each character."""
    start = np.arange(len(value))
    return Attribution(start, start + 1, np.array(value), 0.0, float(sum(value)), method)


def _important(word: str, size: float, mean: float) -> WordImportance:
    interval = _interval(mean, mean - 0.5, mean + 0.5)
    around = _interval(size, size - 0.1, size + 0.1)
    return WordImportance(word, around, interval, size, 3, 2, 0.5)


def _importance(words: list[str], method: str = "occlusion") -> Importance:
    sides = [1.0 if at % 2 else -1.0 for at in range(len(words))]
    found = [_important(word, 1.0, side) for word, side in zip(words, sides, strict=True)]
    return Importance(method, 4, tuple(found))


def _contrast(shifts: dict[str, Interval]) -> Contrast:
    words = [WordShift(word, 0.0, shift.value, shift, 2, 0.5) for word, shift in shifts.items()]
    return Contrast("occlusion", 4, _interval(0.0, 0.0, 0.0), tuple(words))


def _all(name: str = "shap") -> list[str]:
    curve = Curve(_SHARE, np.array([0.5, 1.0, 1.5]), np.array([0.1, 0.5, 1.0]), np.array([1, 2, 3]))
    return [
        plots.strongest_words("a b", _spans("a b", [1.0, 0.0, -2.0], name)),
        plots.importance(_importance(["pay", "meeting"], name)),
        plots.contrast(_contrast({"pay": _interval(1, 0.5, 2), "now": _interval(-1, -2, 1)})),
        plots.deletion({name: curve, "terms": Curve(_SHARE, _SHARE)}),
        plots.insertion({name: curve}),
        plots.cost({name: Cost(5.0, _interval(2, 1, 3)), "terms": Cost(0, _interval(1, 1, 1))}),
    ]


@pytest.fixture(scope="module")
def pictures() -> list[str]:
    return _all()


def _texts(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter() if node.tag.endswith("}text")]


def _bars(svg: str) -> list[str]:
    """The styles of the bars: paths that are filled and clipped to the axes."""
    return re.findall(r'<path[^>]*clip-path[^>]*style="(fill[^"]*)"', svg)


def test_the_same_figures_give_the_same_bytes(pictures) -> None:
    assert _all() == pictures


def test_a_plot_is_one_named_svg_element_without_date_or_sheet(pictures) -> None:
    for svg in pictures:
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["aria-label"]
        assert not re.search(r"<style|<script|<metadata|<image|20\d\d-\d\d", svg)
        assert all(place.startswith("#") for place in re.findall(r'href="([^"]*)"', svg))


def test_ids_are_a_plots_own_and_lead_somewhere(pictures) -> None:
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in pictures]
    every = [name for of_plot in ids for name in of_plot]
    assert every
    assert len(set(every)) == len(every)
    for svg, known in zip(pictures, ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(known)


def test_plots_of_one_title_share_no_id() -> None:
    one, other = (plots.strongest_words(text, _spans(text, [1.0, -1.0])) for text in ("ab", "cd"))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_colours_follow_the_page_and_its_scheme(pictures) -> None:
    for svg in pictures:
        assert "currentColor" in svg
        assert not re.search(r"#0a0b0c|#000000|: black", svg)
    assert "var(--for, #d55e00)" in pictures[0]
    assert "var(--against, #0072b2)" in pictures[0]


def test_sides_differ_by_hatching_as_well_as_by_colour(pictures) -> None:
    for svg in pictures[:2]:
        filled = _bars(svg)
        assert any(style.startswith("fill: var(--for") for style in filled)
        assert any(style.startswith("fill: url(#") for style in filled)
        assert not any(style.startswith("fill: var(--against") for style in filled)


def test_methods_differ_by_dash_and_marker_as_well_as_by_colour(pictures) -> None:
    dashes = re.findall(r"stroke-dasharray: ([^;\"]+)", pictures[3])
    assert dashes
    markers = re.findall(r'<use[^>]*href="([^"]*)"', pictures[5])
    assert len(set(markers)) > 2


def test_the_strongest_words_stand_on_top_and_the_rest_is_left_out() -> None:
    svg = plots.strongest_words("abc", _spans("abc", [1.0, -3.0, 2.0]), most=2)
    shown = [text for text in _texts(svg) if text in "abc"]
    assert shown == ["b", "c"]
    heights = [
        float(place)
        for word in shown
        for place in re.findall(rf'y="([\d.]+)"[^>]*>{word}</text>', svg)
    ]
    assert heights == sorted(heights)


def test_a_shift_within_its_interval_is_hollow_and_none_is_left_out() -> None:
    shifts = {
        "pay": _interval(1.0, 0.5, 2.0),
        "now": _interval(0.9, -0.5, 2.0),
        "same": _interval(0.0, 0.0, 0.0),
    }
    svg = plots.contrast(_contrast(shifts))
    sides = re.findall(r'<use[^>]*style="([^";]*); stroke: var\(--for', svg)
    # The last is the legend's.
    assert sides == ["fill: var(--for, #d55e00)", "fill-opacity: 0", "fill: var(--for, #d55e00)"]
    assert {"pay", "now", "same"} & set(_texts(svg)) == {"pay", "now"}


def test_every_word_is_shown_as_it_is_and_runs_nothing() -> None:
    drawn = [
        plots.importance(_importance(_HOSTILE), most=len(_HOSTILE)),
        plots.contrast(
            _contrast(dict.fromkeys(_HOSTILE, _interval(1, 0.5, 2))), most=len(_HOSTILE)
        ),
        plots.deletion({word: Curve(_SHARE, _SHARE) for word in _HOSTILE}),
        plots.cost({word: Cost(1.0, _interval(2, 1, 3)) for word in _HOSTILE}),
    ]
    for svg in drawn:
        svg.encode()
        root = ET.fromstring(svg)
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        shown = _texts(svg)
        assert not [word for word in _HOSTILE if word.strip() and plain(word) not in shown]


@pytest.mark.parametrize("method", ["$x$ $", "<svg onload=a>", '"><b>', "\ud800", "#0a0b0c", ""])
def test_any_method_can_be_named_in_a_title(method: str) -> None:
    svg = plots.strongest_words("a", _spans("a", [1.0], method))
    title = f"Strongest words by {plain(method)}"
    assert title in _texts(svg)
    assert ET.fromstring(svg).attrib["aria-label"] == title


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.text(max_size=12)
        | st.text(alphabet="$_^\\{}%<>&\"'\x00\ud800\u202eש\u0301\U0001f600", max_size=12),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_no_words_break_a_plot(words: list[str]) -> None:
    root = ET.fromstring(plots.importance(_importance(words)))
    assert not [node for node in root.iter() if node.tag.endswith("script")]


@pytest.mark.parametrize(
    "svg",
    [
        lambda: plots.strongest_words("", _spans("", [])),
        lambda: plots.importance(_importance([])),
        lambda: plots.contrast(_contrast({})),
        lambda: plots.deletion({}),
        lambda: plots.cost({}),
        lambda: plots.cost({"terms": Cost(0.0, _interval(1, 0, 2))}),
        lambda: plots.strongest_words("ab", _spans("ab", [0.0, 1e300])),
    ],
)
def test_nothing_to_show_and_extremes_are_drawn_too(svg) -> None:
    ET.fromstring(svg())


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    plots.deletion({"shap": Curve(_SHARE, _SHARE)})
    assert dict(mpl.rcParams) == before


def test_a_name_is_cut_and_never_hidden() -> None:
    assert len(plain("n" * 200)) == 32
    assert plain("_a") == " _a"
    assert plain("a\x00\ud800\u202e") == "a\ufffd\ufffd\ufffd"


@pytest.mark.filterwarnings("error", "ignore:Glyph .* missing from")
def test_a_tower_of_marks_on_a_letter_leaves_room_for_the_plot() -> None:
    tower = "\N{HIRAGANA LETTER A}" + "\N{COMBINING ACUTE ACCENT}" * 40
    share = np.array([0.1, 0.2])
    # Without room matplotlib warns, and draws nothing to be read.
    assert ET.fromstring(plots.deletion({tower: Curve(share, share)})).tag.endswith("svg")
    assert plain(tower) == "\N{HIRAGANA LETTER A}" + "\N{COMBINING ACUTE ACCENT}" * 3
    # As many as any language writes stay.
    assert plain("\u1ec7 e\u0323\u0302") == "\u1ec7 e\u0323\u0302"
