"""The report stands alone, shows the figures and lets nobody else's markup through."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rampart.ensembles.cascade import CascadeReport, CascadeSettings, Trial
from rampart.evaluation.evaluation import evaluate
from rampart.evaluation.report import Section, beyond_zero, mistakes, render
from rampart.resampling import Interval
from tests.unit.evaluation.conftest import THRESHOLDS, predictions

_HOSTILE = "<script>alert('1')</script>\"&{{ 7 * 7 }}"


class _Page(HTMLParser):
    """Tags, attributes and text of a page; complains of tags that are not closed in order."""

    _VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (self.getpos(), tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _section(name: str, table: pd.DataFrame) -> Section:
    return Section(name, f"About {name}.", table, evaluate(table, THRESHOLDS, resamples=20))


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return [
        _section("Campaign split", predictions(rows=300)),
        _section("Time split", predictions(rows=200, seed=1)),
    ]


@pytest.fixture(scope="module")
def html(sections) -> str:
    return render(
        sections, title="Evaluation", facts={"Data": "500 mails"}, notes=["Mail of 2002 only."]
    )


def test_the_splits_stand_side_by_side_for_each_model(html, sections) -> None:
    page = _Page(html)
    assert page.text.count("Campaign split") == page.text.count("Time split")
    for section in sections:
        for model in THRESHOLDS:
            figure = section.evaluation.headline(model)["f1"]
            assert f"<b>{figure.value:.3f}</b>" in html
            assert f"{figure.low:.3f} to {figure.high:.3f}" in html
    for shown in ("Evaluation", "500 mails", "Mail of 2002 only.", "About Time split.", "hard ham"):
        assert shown in page.text


def test_every_split_has_its_five_pictures_with_ids_of_their_own(html) -> None:
    page = _Page(html)
    assert page.tags.count("svg") == 10
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)


def test_it_says_how_differently_the_models_err(html, sections) -> None:
    for section in sections:
        right = {
            name: (section.table[name] >= THRESHOLDS[name]) == (section.table["label"] == 1)
            for name in ("ngram", "encoder")
        }
        crossed = (right["ngram"] != right["encoder"]).mean()
        both = (~right["ngram"] & ~right["encoder"]).mean()
        assert f"<td>{100 * crossed:.2f} %</td><td>{100 * both:.2f} %</td>" in html
    assert html.count("ngram and encoder") == 2


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(html) -> None:
    page = _Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    for name, value in page.attributes:
        assert name != "src"
        assert not name.startswith("on")
        if name.endswith("href"):
            assert value.startswith("#")
        if "url(" in value:
            assert "url(#" in value
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_it_reads_in_both_schemes_and_on_a_phone(html) -> None:
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    # A table wider than the page scrolls by itself, also from the keyboard.
    tables = re.findall(r'<div class="wide[^>]*>\s*<table>', html)
    assert len(tables) == html.count("<table>")
    assert all('tabindex="0"' in table for table in tables)


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    table = predictions(rows=120)
    table["group"] = [_HOSTILE if row < 60 else "spam-1" for row in range(120)]
    table.loc[0, ["id", "label", "voting"]] = [_HOSTILE, 0, 1.0]
    table = table.rename(columns={"ngram": _HOSTILE})
    thresholds = {_HOSTILE: 0.5, "voting": 0.5}
    section = Section(_HOSTILE, _HOSTILE, table, evaluate(table, thresholds, resamples=5))
    page = _Page(render([section], title=_HOSTILE, facts={_HOSTILE: _HOSTILE}, notes=[_HOSTILE]))
    assert "script" not in page.tags
    assert page.text.count(_HOSTILE) >= 10
    assert "49" not in re.findall(r"\{\{.*?\}\}|&49", page.text)


def test_the_surest_mistakes_come_first() -> None:
    table = predictions(rows=100)
    table["voting"] = table["label"] * 0.8 + 0.1
    table.loc[:2, "label"] = np.array([0, 1, 0], dtype=np.int8)
    table.loc[:2, "voting"] = [0.7, 0.01, 0.95]
    found = mistakes(_section("any", table))
    assert [(mistake.id, mistake.probability) for mistake in found] == [
        ("mail-1", 0.01),
        ("mail-2", 0.95),
        ("mail-0", 0.7),
    ]


def test_a_split_of_one_class_is_reported_without_curves() -> None:
    table = predictions(rows=150)
    harmless = table[table["label"] == 0]
    page = _Page(render([_section("Harmless", harmless)], title="T", facts={}, notes=[]))
    assert page.tags.count("svg") == 3
    assert "n/a" in page.text


def test_splits_of_different_models_share_the_page() -> None:
    table = predictions(rows=120)
    one = Section("one", "", table, evaluate(table, {"ngram": 0.5}, resamples=5))
    page = _Page(render([one, _section("both", table)], title="T", facts={}, notes=[]))
    assert "encoder" in page.text


@pytest.mark.parametrize(
    ("low", "high", "beyond"), [(0.1, 0.3, True), (-0.3, -0.1, True), (-0.1, 0.1, False)]
)
def test_a_difference_is_named_only_where_its_interval_does_not_hold_zero(
    low, high, beyond
) -> None:
    assert beyond_zero(Interval(value=(low + high) / 2, low=low, high=high)) is beyond
    assert not beyond_zero(None)


def test_what_settling_early_costs_is_shown_band_by_band(sections: list[Section]) -> None:
    trials = tuple(
        Trial(
            doubt=doubt,
            settled=settled,
            changed=number,
            worse=number,
            better=0,
            bound=bound,
            f1=0.9 - number / 100,
            recall=None,
            stands=number == 0,
        )
        for number, (doubt, settled, bound) in enumerate([(0.01, 0.61, 0.004), (0.05, 0.83, 0.02)])
    )
    cascade = CascadeReport(
        settings=CascadeSettings(), rows=1_234, campaigns=567, f1=0.91, trials=trials, doubt=0.01,
        reason=_HOSTILE,
    )  # fmt: skip
    html = render(sections, title="T", facts={}, notes=[], cascade=cascade)
    page = _Page(html)
    for shown in ("1,234 rows of 567 campaigns", "0.01, taken", "61.0 %", "0.0040", "n/a", "no"):
        assert shown in page.text
    assert _HOSTILE not in html
    assert page.tags.count("figure") == _Page(_rendered(sections)).tags.count("figure") + 1


def test_a_cascade_that_nobody_asked_for_is_said_in_a_sentence(sections: list[Section]) -> None:
    none = CascadeReport(settings=CascadeSettings(), rows=3, campaigns=3, reason="Nobody asked.")
    page = _Page(render(sections, title="T", facts={}, notes=[], cascade=none))
    assert "Nobody asked." in page.text
    assert "Settled early" not in page.text


def _rendered(sections: list[Section]) -> str:
    return render(sections, title="T", facts={}, notes=[])
