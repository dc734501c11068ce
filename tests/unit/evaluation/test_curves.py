"""Pictures are well-formed, the same each time, safe beside each other and in any scheme."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from rampart.errors import DataError
from rampart.evaluation import curves
from rampart.evaluation.evaluation import scored
from rampart.evaluation.scored import Scored
from tests.unit.evaluation.conftest import THRESHOLDS

_DRAWN = [curves.roc, curves.precision_recall, curves.calibration]


@pytest.fixture(scope="module")
def rankings(table) -> dict[str, Scored]:
    return scored(table, THRESHOLDS)


@pytest.fixture(scope="module")
def pictures(rankings) -> list[str]:
    return [*(draw(rankings) for draw in _DRAWN), curves.histogram(rankings["voting"])]


def test_the_same_figures_give_the_same_bytes(rankings, pictures) -> None:
    assert [draw(rankings) for draw in _DRAWN] == pictures[:3]
    assert curves.histogram(rankings["voting"]) == pictures[3]


def test_a_picture_is_one_named_svg_element_without_date_or_sheet(pictures) -> None:
    for svg in pictures:
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["aria-label"]
        assert not re.search(r"<style|<script|<metadata|<image|20\d\d-\d\d", svg)
        # What is addressed lies in the picture itself.
        assert all(place.startswith("#") for place in re.findall(r'href="([^"]*)"', svg))


def test_ids_are_a_pictures_own_and_lead_somewhere(pictures) -> None:
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in pictures]
    every = [name for of_picture in ids for name in of_picture]
    assert every
    assert len(set(every)) == len(every)
    for svg, known in zip(pictures, ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(known)


def test_text_takes_the_pages_colour_and_lines_keep_their_own(pictures) -> None:
    for svg in pictures:
        assert "currentColor" in svg
        assert not re.search(r"#0a0b0c|#000000|: black", svg)
    assert len(set(re.findall(r"stroke: (?:var\([^,]+, )?(#\w{6})", pictures[0]))) == len(
        THRESHOLDS
    )


def test_every_model_is_in_the_legend(pictures) -> None:
    for svg in pictures[:3]:
        assert all(f">{model}</text>" in svg for model in THRESHOLDS)


@pytest.mark.parametrize("name", ["$x$", "_hidden", "<script>", "模型", "bell\x07", "n" * 200])
def test_any_name_can_stand_in_a_legend(rankings, name) -> None:
    svg = curves.roc({name: rankings["voting"]})
    texts = [node.text for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]
    shown = name.replace("\x07", "\N{REPLACEMENT CHARACTER}")
    shown = "n" * 31 + "\N{HORIZONTAL ELLIPSIS}" if len(name) > 32 else shown
    assert any(shown in (text or "") for text in texts)


def test_drawing_leaves_matplotlibs_settings_alone(rankings) -> None:
    before = dict(mpl.rcParams)
    curves.calibration(rankings)
    assert dict(mpl.rcParams) == before


def test_one_class_has_a_histogram_and_no_curve() -> None:
    harmless = Scored.of(np.zeros(20), np.linspace(0, 1, 20), 0.5)
    ET.fromstring(curves.histogram(harmless))
    ET.fromstring(curves.calibration({"model": harmless}))
    with pytest.raises(DataError):
        curves.roc({"model": harmless})


def test_a_model_that_flags_nothing_is_drawn_without_its_dot(table) -> None:
    never = scored(table, {"voting": 1.0})
    ET.fromstring(curves.roc(never))
    ET.fromstring(curves.precision_recall(never))
