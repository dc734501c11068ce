"""A picture shows the text as sent and what it is worth, reads without colour and runs nothing."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.explain.marks import largest_value, stretches
from rampart.explain.pictures import Panel, Plot, document, fragment, signed

_HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>"
    '"onmouseover="alert(1)</div></section></style><style>*{display:none}</style><!--'
    "{{ 7 * 7 }}{% raw %}&lt;&#x3c;&amp;]]>\x00\ud800\u202e"
)
# What the template gives an attribute; everything else would have come from a text.
_OURS = re.compile(
    r"(class (rampart-explanation|legend soft|panels|passage|cut|(for|against) s[1-4])"
    r"|title [+\u2212][\d.e+]+, (for|against) a threat, (weak|strength [1-4] of 4)"
    r"(, sum of \d+ overlapping spans)?"
    r"|dir auto|lang (en)?|scope row|charset utf-8|name (viewport|color-scheme)"
    r"|http-equiv Content-Security-Policy|content [a-z][^<>]*)"
)
_ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "section", "p", "h1", "h2", "h3", "div",
    "article", "mark", "sup", "span", "i", "dl", "dt", "dd", "table", "caption", "tbody", "tr",
    "th", "td", "ul", "li", "figure", "figcaption", "svg",
}  # fmt: skip


class _Page(HTMLParser):
    """What a browser makes of a page; complains of tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        # Text by the elements around it, as "section div mark".
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        html.encode()
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [f"{name} {value or ''}" for name, value in attrs]
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (self.getpos(), tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((" ".join(self._open), data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def said(self, *inside: str) -> str:
        """The text within these elements, whatever stands around them."""
        return "".join(data for place, data in self.texts if set(inside) <= set(place.split()))

    def passage(self) -> str:
        """The texts that are explained, without the small numbers; each unseen sign as its name."""
        return "".join(
            data
            for place, data in self.texts
            if "article div" in place and not place.endswith("sup")
        )

    def is_ours(self) -> None:
        """No element and no attribute came from a text."""
        assert set(self.tags) <= _ELEMENTS
        for attribute in self.attributes:
            assert _OURS.fullmatch(attribute), attribute


def _spans(*columns: tuple[int, int, float], **more) -> Attribution:
    start, end, value = zip(*columns, strict=True) if columns else ([], [], [])
    total = float(sum(value))
    given = {"base": -1.0, "logit": total - 1.0, "method": "occlusion"} | more
    return Attribution(
        np.array(start, dtype=np.int64), np.array(end, dtype=np.int64), np.array(value), **given
    )


def _panel(text: str, *columns: tuple[int, int, float], **more) -> Panel:
    return Panel("Occlusion", text, _spans(*columns, **more))


def _shown(text: str) -> str:
    """What a reader sees of a text as sent."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)


def _marks(html: str) -> list[tuple[str, str, str, str]]:
    """Side, strength, text and small number of each mark but the legend's two."""
    found = re.findall(
        r'<mark class="(for|against) s(\d)" title="[^"]*">([^<]*)<sup>([^<]*)</sup></mark>', html
    )
    assert len(found) + 2 == html.count("<mark")
    return found


# --- what is shown ------------------------------------------------------------------------------


def test_a_mark_says_its_sign_its_weight_and_its_value_without_colour() -> None:
    html = fragment([_panel("win the meeting", (0, 3, 2.0), (8, 15, -0.9))])
    assert _marks(html) == [
        ("for", "4", "win", "+2.00"),
        ("against", "2", "meeting", "\u22120.90"),
    ]
    assert 'title="+2.00, for a threat, strength 4 of 4"' in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert re.search(r"\.for \{ text-decoration-style: solid", style)
    assert re.search(r"\.against \{ text-decoration-style: dotted", style)
    thickness = re.findall(r"\.s(\d) \{ text-decoration-thickness: (\d)px", style)
    assert thickness == [(step, step) for step in "1234"]
    assert "prefers-color-scheme: dark" in style


def test_only_the_strongest_have_numbers_and_the_weak_no_mark() -> None:
    text = "x" * 21
    columns = [(at, at + 1, 1.0 - at / 40) for at in range(20)]
    html = fragment([_panel(text, *columns, (20, 21, -0.01))])
    small = [label for *_, label in _marks(html)]
    assert small == [signed(value) for *_, value in columns[:12]] + ["+"] * 8
    assert '<span title="\u22120.01, against a threat, weak">x</span>' in html


def test_the_figures_of_the_sum_and_the_cost_are_told() -> None:
    panel = _panel("win", (0, 3, 2.0), base=-1.5, logit=1.0, method="shap", seed=7, calls=1200,
                   seconds=2.345, complete=False)  # fmt: skip
    page = _Page(fragment([panel]))
    names = [data for place, data in page.texts if place.endswith("dt")]
    facts = [data for place, data in page.texts if place.endswith("dd")]
    assert dict(zip(names, facts, strict=True)) == {
        "Bias": "\u22121.50",
        "Sum of values": "+2.00 (1 span)",
        "Not accounted for": "+0.50",
        "Logit": "+1.00",
        "Probability": "0.7311",
        "Method": "shap",
        "Cost": "1,200 texts scored, 2.35 s",
        "Seed": "7",
        "Complete": "no, its budget ran out",
    }
    assert "Not complete" in page.said("article", "p")


def test_a_sum_that_is_exact_and_free_says_so() -> None:
    page = _Page(fragment([_panel("win", (0, 3, 2.0))]))
    facts = page.said("dd")
    assert "Not accounted for" not in page.said("dt")
    assert "no text scored" in facts
    assert "none, it draws nothing" in facts
    assert "Not complete" not in page.said("article")


def test_the_strongest_spans_are_listed_by_strength() -> None:
    text = "free money " + "y" * 80
    page = _Page(fragment([_panel(text, (0, 4, 0.5), (5, 10, -2.0), (11, 91, 1.0))]))
    rows = [data for place, data in page.texts if place.endswith(("th", "td"))]
    assert rows == ["money", "\u22122.00", "y" * 60 + "\u2026", "+1.00", "free", "+0.50"]


def test_methods_stand_side_by_side_each_on_its_own_scale() -> None:
    panels = [_panel("ab", (0, 1, 8.0), (1, 2, 1.0)), _panel("ab", (0, 1, 1.0))]
    assert [strength for _, strength, *_ in _marks(fragment(panels))] == ["4", "1", "4"]
    assert "of the column;" in fragment(panels)
    together = fragment(panels, same_scale=True)
    assert [strength for _, strength, *_ in _marks(together)] == ["4", "1", "1"]
    assert "of all columns;" in together


def test_a_document_holds_its_sections_plots_and_notes() -> None:
    html = document(
        {"First mail": [_panel("win", (0, 3, 1.0))], "Second mail": [_panel("lose")]},
        title="Why",
        notes=["Invented."],
        plots=[Plot("<svg></svg>", "Curves & costs")],
    )
    page = _Page(html)
    assert page.said("h1") == page.said("title") == "Why"
    assert "First mail" in page.said("h2")
    assert "Second mail" in page.said("h2")
    assert page.said("li") == "Invented."
    assert page.said("figcaption") == "Curves & costs"
    assert page.tags.count("svg") == 1
    assert page.passage() == "winlose"
    assert html.startswith("<!doctype html>")
    assert 'name="viewport"' in html


def test_a_fragment_is_one_element_that_brings_its_style() -> None:
    html = fragment([_panel("win", (0, 3, 1.0))]).strip()
    assert html.startswith('<section class="rampart-explanation">')
    assert html.endswith("</section>")
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    rules = [line for line in style.splitlines() if "{" in line and not line.startswith("@")]
    assert all(line.strip().startswith(".rampart-explanation") for line in rules)


def test_an_explanation_of_another_text_is_refused() -> None:
    with pytest.raises(InputError, match="ends at 9"):
        fragment([_panel("short", (0, 9, 1.0))])


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "+0.00"), (-0.5, "\u22120.50"), (1234.5, "+1.23e+03"), (-1e300, "\u22121e+300")],
)
def test_values_are_short_and_signed(value: float, said: str) -> None:
    assert signed(value) == said


# --- spans that overlap and touch ---------------------------------------------------------------


def test_spans_that_overlap_add_up_where_they_do() -> None:
    found = stretches("abcdef", _spans((0, 4, 1.0), (2, 6, 0.5), (3, 4, -1.0)))
    assert [(piece.text, piece.value, piece.spans) for piece in found] == [
        ("ab", 1.0, 1),
        ("c", 1.5, 2),
        ("d", 0.5, 3),
        ("ef", 0.5, 1),
    ]
    html = fragment([_panel("abcdef", (0, 4, 1.0), (2, 6, 0.5), (3, 4, -1.0))])
    assert "sum of 3 overlapping spans" in html
    assert _Page(html).passage() == "abcdef"


def test_spans_that_touch_stay_apart() -> None:
    # Added up for a moment, the small value would be lost in the large one.
    found = stretches("abcd", _spans((0, 2, 1e8), (2, 4, 1e-12)))
    assert [(piece.text, piece.value, piece.spans) for piece in found] == [
        ("ab", 1e8, 1),
        ("cd", 1e-12, 1),
    ]


def test_what_rounding_leaves_of_a_sum_does_not_reach_the_next_span() -> None:
    found = stretches("abcdef", _spans((0, 2, 0.1), (1, 3, 0.2), (4, 5, 1e-12)))
    assert [piece.value for piece in found][-3:] == [0.0, 1e-12, 0.0]


def test_the_same_span_twice_counts_twice_and_gaps_count_nothing() -> None:
    found = stretches(" ab ", _spans((1, 3, 1.0), (1, 3, 1.0)))
    assert [(piece.text, piece.value) for piece in found] == [(" ", 0.0), ("ab", 2.0), (" ", 0.0)]
    assert largest_value([" ab "], [_spans((1, 3, 1.0), (1, 3, 1.0))]) == 2.0


# --- hostile texts ------------------------------------------------------------------------------


def test_hostile_text_is_shown_everywhere_and_never_runs() -> None:
    spans = [(at, at + 1, (-1.0) ** at) for at in range(0, len(_HOSTILE), 3)]
    panel = Panel(_HOSTILE, _HOSTILE, _spans(*spans, method=_HOSTILE))
    html = document({_HOSTILE: [panel, panel]}, title=_HOSTILE, notes=[_HOSTILE])
    page = _Page(html)
    page.is_ours()
    seen = _shown(_HOSTILE)
    assert page.said("h1") == page.said("title") == page.said("li") == seen
    named = seen.replace("\u202e", "U+202E")
    assert page.said("h3") == named * 2
    assert page.passage() == named * 2
    assert page.said("dd").count(named) == 2
    assert "default-src 'none'" in html
    assert not re.search(r"script-src|img-src|@import|url\(", html)


def test_signs_that_rule_others_are_named_and_do_nothing() -> None:
    page = _Page(fragment([_panel("pay\u202e\u200b\u200b\u200bnow\U000e0041", (0, 3, 1.0))]))
    assert page.passage() == "payU+202EU+200B\u00d73nowU+E0041"
    assert page.tags.count("i") == 4  # one of them the legend's


def test_right_to_left_text_keeps_its_own_direction_and_numbers_theirs() -> None:
    text = "\u05e9\u05dc\u05d5\u05dd prize \u0645\u0631\u062d\u0628\u0627"
    html = fragment([_panel(text, (0, 4, 1.0), (11, 16, -1.0))])
    assert _Page(html).passage() == text
    assert '<div class="passage" dir="auto" lang="">' in html
    assert "white-space: pre-wrap; unicode-bidi: plaintext" in html
    assert re.search(r" sup \{[^}]*unicode-bidi: isolate; direction: ltr", html)


def test_line_ends_of_every_kind_are_kept_as_lines() -> None:
    assert _Page(fragment([_panel("a\r\nb\rc\n\td")])).passage() == "a\nb\nc\n\td"


_PIECES = st.sampled_from(
    ["<script>", "</div>", "<b onclick='a'>", "&lt;", "&#0;", "{{", "}}", "\x00", "\r\n", "\ud800",
     "\u202e", "\u2066", "\u200b", "\ufeff", "\u05e9", "\u0301", "\U0001f600", '"', "'", "<!--",
     "-->", "<![CDATA[", "</style>", "word ", "\x1b[31m", "\x85", "\u2028", "</", "<", "\U000e0041"]
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    st.text(max_size=30) | st.lists(_PIECES, max_size=15).map("".join),
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.integers(1, 20),
            st.floats(-5, 5) | st.sampled_from([1e300, -1e300, 5e-324, 0.0]),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_text_with_any_spans_is_shown_whole_and_adds_no_element(
    text: str, columns: list[tuple[int, int, float]], same_scale: bool
) -> None:
    spans = sorted(
        (at, min(at + length, len(text)), value) for at, length, value in columns if at < len(text)
    )
    panel = Panel(text, text, _spans(*spans, base=0.0, logit=0.0, method=text))
    html = document({text: [panel]}, title=text, notes=[text], same_scale=same_scale)
    page = _Page(html)
    page.is_ours()
    shown = page.passage()
    # Names stand for unseen signs, and a break between two line ends is a line of its own.
    for run in set(
        re.findall("[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0041]", text)
    ):
        assert run not in shown
        assert f"U+{ord(run):04X}" in shown
    bare = re.sub(r"U\+[0-9A-F]{4,6}(\u00d7\d+)?", "", shown)
    kept = re.sub(
        "[\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", "", text
    )
    assert bare.replace("\n", "") == _shown(kept).replace("\n", "")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40), st.floats(-100, 100)), max_size=15),
)
def test_stretches_cover_the_text_with_the_sums_of_their_spans(length, columns) -> None:
    text = "".join(chr(97 + at % 26) for at in range(length))
    spans = sorted((a, min(a + b, length), value) for a, b, value in columns if a < length)
    found = stretches(text, _spans(*spans, base=0.0, logit=0.0))
    assert "".join(piece.text for piece in found) == text
    at = 0
    for piece in found:
        over = [value for a, b, value in spans if a <= at and at + len(piece.text) <= b]
        assert piece.spans == len(over)
        assert piece.value == pytest.approx(sum(over), abs=1e-9)
        assert 0 <= piece.strength <= 4
        at += len(piece.text)


@pytest.mark.parametrize(
    ("piece", "nested"),
    [("prize ", False), ("<", False), ("\u202e", False), ("\u202ea", False), ("a", True)],
)
def test_time_grows_with_the_length_of_a_line_and_no_faster(piece: str, nested: bool) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        start = np.arange(0, length // 2 if nested else length - 10, 100)
        end = length - start if nested else start + 10
        value = np.where(start % 200, 1.0, -1.0)
        attribution = Attribution(start, end, value, 0.0, 0.0, "toy")
        taken = []
        for _ in range(2):
            begun = time.process_time()
            html = document({"line": [Panel("toy", text, attribution)]}, title="t")
            taken.append(time.process_time() - begun)
        assert len(html) > length
        return min(taken)

    seconds(1_000)
    # Four times the length: quadratic work would take sixteen times as long.
    assert seconds(1_000_000) < 9 * max(seconds(250_000), 0.02)
