"""Pictures of what a model does at every threshold, as SVG to be put into a page.

The same figures give the same bytes: no date, no random ids. Lines differ by dash as well as by
colour, and the colours are those of Okabe and Ito ("Color Universal Design", 2008), which
colour-blind readers tell apart. Text and axes take the page's own colour (`currentColor`), so that
a picture reads in a light and in a dark scheme.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from rampart.evaluation.diversity import Pair
from rampart.evaluation.operating_points import (
    confusion,
    precision_recall_curve,
    reliability,
    roc_curve,
)
from rampart.evaluation.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
_WIDTHS = (2.2, 1.6, 1.6, 1.6, 1.6, 1.6)
# Stands for the page's text colour until the SVG is written; no picture uses it otherwise.
_INK = "#0a0b0c"
# Where a logarithmic scale puts a bin without a row.
_NO_ROW = 0.7
_HARMLESS, _THREAT = _COLOURS[0], _COLOURS[1]
# Any: matplotlib spells its keys' type out as some 400 literals.
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
}


def roc(models: Mapping[str, Scored]) -> str:
    """ROC curves over a logarithmic false-positive rate, with each model's threshold as a dot.

    Raises:
        DataError: a class is missing.
    """
    with _picture("ROC curves") as (axes, svg):
        floor = min(0.5 / _harmless(next(iter(models.values()))), 1e-3)
        for place, (name, scored) in enumerate(models.items()):
            curve = roc_curve(scored)
            rate = np.maximum(curve.false_positive_rate, floor)
            at = confusion(scored)
            flagged = at.false_positives / (at.false_positives + at.true_negatives)
            found = at.true_positives / (at.true_positives + at.false_negatives)
            _line(axes, rate, curve.true_positive_rate, name, place, drawstyle="steps-post")
            _dot(axes, max(flagged, floor), found, place)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
        axes.set_xlim(floor, 1)
        axes.set_ylim(0, 1.02)
        for rate in (1e-3, 1e-2):
            axes.axvline(rate, color=_INK, alpha=0.4, linewidth=0.8, linestyle=":")
        axes.set_xlabel("false-positive rate (0 at the left edge)")
        axes.set_ylabel("recall")
    return svg.getvalue()


def precision_recall(models: Mapping[str, Scored]) -> str:
    """Precision over recall, with each model's threshold as a dot.

    Raises:
        DataError: a class is missing.
    """
    with _picture("Precision and recall") as (axes, svg):
        for place, (name, scored) in enumerate(models.items()):
            recall, precision = precision_recall_curve(scored)
            _line(axes, recall, precision, name, place)
            at = confusion(scored)
            if flagged := at.true_positives + at.false_positives:
                found = at.true_positives / (at.true_positives + at.false_negatives)
                _dot(axes, found, at.true_positives / flagged, place)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
    return svg.getvalue()


def calibration(models: Mapping[str, Scored]) -> str:
    """Share of threats over mean probability by bins of equal mass; the diagonal is perfect."""
    with _picture("Calibration") as (axes, svg):
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.5, linewidth=0.8)
        for place, (name, scored) in enumerate(models.items()):
            bins = reliability(scored)
            _line(axes, bins.probability, bins.share, name, place, marker="o", markersize=3.5)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("mean probability of the bin")
        axes.set_ylabel("share of threats in it")
    return svg.getvalue()


def histogram(scored: Scored) -> str:
    """How many rows of each label have which probability, on a logarithmic scale."""
    with _picture("Scores by label") as (axes, svg):
        for label, name, colour, line in (
            (0, "harmless", _HARMLESS, "-"),
            (1, "threat", _THREAT, "--"),
        ):
            rows, edges = np.histogram(scored.probability[scored.label == label], 25, (0, 1))
            axes.stairs(
                np.maximum(rows, _NO_ROW),
                edges,
                baseline=_NO_ROW,
                fill=True,
                facecolor=(colour, 0.25),
                edgecolor=colour,
                linestyle=line,
                linewidth=1.4,
                label=name,
            )
        axes.axvline(scored.threshold, color=_INK, linewidth=1.2, linestyle="--", label="threshold")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
        axes.set_ylim(bottom=_NO_ROW)
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability")
        axes.set_ylabel("rows")
    return svg.getvalue()


def errors(pairs: Sequence[Pair]) -> str:
    """Share of rows that one model of each pair gets wrong alone, and that both get wrong."""
    with _picture("Errors that models share") as (axes, svg):
        left = np.zeros(len(pairs))
        for name, widths, colour, hatch in (
            ("the first alone", [pair.alone[0] for pair in pairs], _COLOURS[0], ""),
            ("both", [pair.double_fault for pair in pairs], _COLOURS[1], "////"),
            ("the second alone", [pair.alone[1] for pair in pairs], _COLOURS[5], ".."),
        ):
            axes.barh(
                range(len(pairs)), widths, left=left, height=0.6,
                facecolor=(colour, 0.5), edgecolor=colour, hatch=hatch, label=name,
            )  # fmt: skip
            left += widths
        names = ["\n".join(_plain(model) for model in pair.models) for pair in pairs]
        axes.set_yticks(range(len(pairs)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.set_xlabel("share of rows")
    return svg.getvalue()


@contextmanager
def _picture(title: str) -> Iterator[tuple[Axes, StringIO]]:
    """Axes to draw on; when it is left, the other holds the finished SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    svg = StringIO()
    # The object interface: nothing is left in pyplot's global list of figures.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left")
        yield axes, svg
        names = figure.legend(loc="outside lower center", ncols=3)
        for entry in names.get_texts():
            # A name with two dollar signs in it is no formula.
            entry.set_parse_math(False)
        svg.write(_written(figure, title))


def _written(figure: Figure, title: str) -> str:
    """The figure as an SVG element that can stand in a page beside others."""
    buffer = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # A model's name in letters that matplotlib has no font for; the reader's browser has one.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # The sheet would reach the whole page, and ids of groups would stand in it more than once.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # The page's own font, and ids that no other picture of the page has.
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    own = sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>s{own}-", svg)
    label = escape(title)
    head = (
        f'<svg role="img" aria-label="{label}" fill="currentColor" '
        'style="stroke-linejoin:round;stroke-linecap:butt"'
    )
    return svg.replace("<svg", head, 1).replace(_INK, "currentColor")


def _line(axes: Axes, x: Any, y: Any, name: str, place: int, **more: Any) -> None:
    style = place % len(_COLOURS)
    axes.plot(
        x,
        y,
        color=_COLOURS[style],
        linestyle=_DASHES[style],
        linewidth=_WIDTHS[style],
        label=_plain(name),
        **more,
    )


def _dot(axes: Axes, x: float, y: float, place: int) -> None:
    axes.plot([x], [y], "o", color=_COLOURS[place % len(_COLOURS)], markersize=6, clip_on=False)


def _plain(name: str) -> str:
    """A name that a legend shows: not too long, no control signs, no underscore in front."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in name[:40])
    return f" {shown}" if shown.startswith("_") else shown


def _harmless(scored: Scored) -> float:
    return float(np.sum(scored.label == 0)) or 1.0
