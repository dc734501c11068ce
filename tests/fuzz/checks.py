"""What has to hold of every extractor and every picture, whatever the text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from rampart.data.cleaning import clean
from rampart.data.mail import parse
from rampart.explain import plots
from rampart.explain.aggregate import global_importance
from rampart.explain.attribution import Attribution
from rampart.explain.contrast import contrast
from rampart.explain.pictures import Panel, document
from rampart.explain.plots import Cost, Curve
from rampart.explain.units import Units
from rampart.features.base import FeatureFamily
from rampart.resampling import Interval

Check = Callable[[Sequence[str]], None]
_TAG = re.compile(r"<\s*/?\s*([A-Za-z][\w:-]*)")
_HARMLESS = ("Win a prize now, dear friend.", "The meeting is at ten, in room two.")


def cleaned(texts: Sequence[str]) -> None:
    """The clean text lies in the source, in order, and cleaning again changes nothing it sees."""
    for text in texts:
        found = clean(text)
        assert found.source == text
        assert len(found.text) == len(found.starts) == len(found.ends)
        if found.text:
            assert found.starts.min() >= 0
            assert found.ends.max() <= len(text)
            assert (found.starts < found.ends).all()
            assert (np.diff(found.starts) >= 0).all()


def parsed(texts: Sequence[str]) -> None:
    """As the bytes of a mail, whatever they are."""
    for text in texts:
        parse(text.encode("utf-8", "surrogatepass"))


def family(of: FeatureFamily) -> Check:
    """All columns are finite, and evidence lies in the text as sent."""

    def check(texts: Sequence[str]) -> None:
        aligned = [clean(text) for text in texts]
        for text, reading in zip(texts, of.readings(aligned), strict=True):
            assert reading.values.shape == (len(of.features),)
            assert np.isfinite(reading.values).all()
            for name, spans in reading.evidence.items():
                for start, end in spans:
                    assert 0 <= start < end <= len(text), (name, start, end)

    return check


def _attribution(text: str, seed: int) -> Attribution:
    """Values for the words of a text, as a method would give them."""
    units = Units.of(text)
    draw = np.random.default_rng(seed)
    value = draw.normal(size=len(units.start))
    return Attribution(units.start, units.end, value, 0.5, 0.5 + float(value.sum()), "fuzz", seed=0)


def _page(text: str, seed: int) -> str:
    panel = Panel("fuzz", text, _attribution(text, seed))
    return document({text[:80]: [panel]}, title=text)


def _elements(page: str) -> set[str]:
    return {name.lower() for name in _TAG.findall(page)}


@cache
def _own_elements() -> set[str]:
    """Those of the page about harmless texts: whatever else comes up is a text's."""
    return set.union(*(_elements(_page(text, seed)) for text in _HARMLESS for seed in range(5)))


def highlighted(texts: Sequence[str]) -> None:
    """The page about a text holds no element of the text's."""
    for number, text in enumerate(texts):
        page = _page(text, number)
        assert _elements(page) <= _own_elements()
        page.encode("utf-8")


def _plots(texts: Sequence[str]) -> list[str]:
    explained = [(text, _attribution(text, number)) for number, text in enumerate(texts)]
    old = [attribution for _, attribution in explained]
    new = [_attribution(text, number + 1) for number, text in enumerate(texts)]
    names = [text[:60] for text in dict.fromkeys(texts)][:8]
    share = np.array([0.1, 0.2])
    some = Interval(value=1.0, low=0.5, high=2.0)
    longest = max(texts, key=len)
    return [
        plots.strongest_words(longest, _attribution(longest, 0)),
        plots.importance(global_importance(explained, resamples=10)),
        plots.contrast(contrast(texts, old, new, resamples=10)),
        plots.deletion({name: Curve(share, share) for name in names}),
        plots.insertion({name: Curve(share, share, share - 1, share + 1) for name in names}),
        plots.cost({name: Cost(1.0, some) for name in names}),
    ]


@cache
def _own_tags() -> set[str]:
    return {node.tag for svg in _plots(_HARMLESS) for node in ET.fromstring(svg).iter()}


def plotted(texts: Sequence[str]) -> None:
    """Every plot, with the words of all texts at once, is well-formed and adds no element."""
    for svg in _plots(texts):
        assert {node.tag for node in ET.fromstring(svg).iter()} <= _own_tags()
        svg.encode("utf-8")


def every(families: Mapping[str, FeatureFamily]) -> dict[str, Check]:
    """All checks by name."""
    return {
        "cleaning": cleaned,
        "mail parsing": parsed,
        **{name: family(of) for name, of in families.items()},
        "highlighted text": highlighted,
        "plots": plotted,
    }


def growth(check: Check, unit: str, sizes: Sequence[int], seconds: Callable[[], float]) -> float:
    """Exponent of the time over the length of a text of one unit: 1 is linear, 2 quadratic."""
    taken = []
    for size in sizes:
        given = [(unit * size)[:size]]
        runs = []
        for _ in range(2):
            begun = seconds()
            check(given)
            runs.append(seconds() - begun)
        taken.append(max(min(runs), 1e-4))
    slope = np.polyfit(np.log(sizes), np.log(taken), 1)[0]
    return float(slope)
