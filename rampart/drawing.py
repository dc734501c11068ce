"""What a plot is drawn on: axes that become one SVG element, safe in a page beside others.

The same figures give the same bytes: no date, no random ids. The colours are those of Okabe and Ito
("Color Universal Design", 2008), which colour-blind readers tell apart, and lines differ by dash as
well. Text and axes take the page's own colour (`currentColor`), for light and dark schemes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#0a0b0c"
"""Stands for the page's text colour until the SVG is written; nothing else is drawn in it."""
FOR, AGAINST = "#d55e00", "#0072b2"
"""What speaks for a threat and against it; a page may have shades of its own for its scheme."""
COLOURS = (AGAINST, FOR, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
"""Of lines, as many as there are colours."""

_LONGEST = 32
_MARKS = 3
# Any: matplotlib spells its keys' type out as some 400 literals.
_STYLE: Any = {
    "svg.fonttype": "none",
    # A word or a name with two dollar signs in it is no formula.
    "text.parse_math": False,
    "font.size": 10,
    "hatch.linewidth": 0.8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


@contextmanager
def plot(
    title: str, rows: int | None = None, *, width: float = 5.6
) -> Iterator[tuple[Axes, StringIO]]:
    """Axes, tall enough for so many rows; when they are left, the other holds the finished SVG.

    Args:
        title: above the axes.
        rows: of bars, say; without, the height is that of a curve.
        width: in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    svg = StringIO()
    shown = plain(title, 80)
    height = 3.6 if rows is None else 1.5 + 0.24 * max(rows, 1)
    # The object interface: nothing is left in pyplot's global list of figures.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": shown}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(shown, loc="left")
        yield axes, svg
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside lower center", ncols=3)
        svg.write(_element(figure, shown))


def plain(name: str, longest: int = _LONGEST) -> str:
    """A name that a plot shows: neither long nor high, no control signs, no underscore in front."""
    name = "".join(_unstacked(name))
    cut = name if len(name) <= longest else name[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)
    # matplotlib leaves such a name out of a legend.
    return f" {shown}" if shown.startswith("_") else shown


def _unstacked(name: str) -> Iterator[str]:
    """Without the marks that would be a tower on one letter; no script needs more than a few."""
    marks = 0
    for sign in name:
        marks = marks + 1 if category(sign).startswith("M") else 0
        if marks <= _MARKS:
            yield sign


def _element(figure: Figure, title: str) -> str:
    """The figure as an SVG element with ids of its own."""
    buffer = StringIO()
    with warnings.catch_warnings():
        # A word in letters that matplotlib has no font for; the reader's browser has one.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # The sheet would reach the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    own = sha256(svg.encode()).hexdigest()[:8]
    # Tags alone, so that a word stays as it is, whatever it holds: matplotlib has escaped it.
    svg = re.sub(r"<[^<>]+>", lambda tag: _tag(tag[0], own), svg)
    head = (
        f'<svg role="img" aria-label="{escape(title)}" fill="currentColor" '
        'style="stroke-linejoin:round;stroke-linecap:butt"'
    )
    return svg.replace("<svg", head, 1)


def _tag(tag: str, own: str) -> str:
    """A tag in the page's own font and colours, with ids that no other plot of the page has."""
    tag = re.sub(r'^<g id="[^"]*"', "<g", tag)
    tag = re.sub(r"font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>x{own}-", tag)
    # As a style alone: an attribute cannot hold a variable.
    for colour, name in ((FOR, "for"), (AGAINST, "against")):
        tag = tag.replace(f": {colour}", f": var(--{name}, {colour})")
    return tag.replace(INK, "currentColor")
