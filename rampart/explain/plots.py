"""Plots of explanations as SVG, to be put into a page.

What speaks for a threat is orange and plain, what speaks against it blue and hatched, and methods
differ by dash and marker as well as by colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rampart.drawing import AGAINST, COLOURS, DASHES, FOR, INK, plain, plot
from rampart.explain.aggregate import Importance
from rampart.explain.attribution import Attribution
from rampart.explain.contrast import Contrast
from rampart.explain.word_values import word_values
from rampart.models.base import Floats
from rampart.resampling import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vP"


@dataclass(frozen=True, slots=True)
class Curve:
    """What deleting or inserting words does to the logit.

    Attributes:
        share: of the words, in 0 to 1, ascending, float64 [k].
        value: mean change of the logit, float64 [k].
        low: the lower end of its interval, float64 [k]; None where it has none.
        high: the upper end.
    """

    share: Floats
    value: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a method costs and how faithful it is.

    Attributes:
        seconds: for one text; 0 where it comes with the verdict.
        faithfulness: by any one measure, more is better.
    """

    seconds: float
    faithfulness: Interval


def strongest_words(text: str, attribution: Attribution, *, most: int = 20) -> str:
    """The words of one text that are worth most, by bars to either side.

    Raises:
        InputError: the explanation is of another text.
    """
    worth = {word: value for word, (value, _) in word_values(text, attribution).items()}
    chosen = sorted(worth, key=lambda word: (-abs(worth[word]), word))[: max(0, most)]
    values = [worth[word] for word in chosen]
    with plot(f"Strongest words by {attribution.method}", len(chosen)) as (axes, svg):
        _bars(axes, values, values)
        _rows(axes, chosen)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("added to the logit")
    return svg.getvalue()


def importance(found: Importance, *, most: int = 20) -> str:
    """The most important words of many texts, with intervals; the side is that of their mean."""
    words = found.words[: max(0, most)]
    with plot(f"Importance by {found.method}, {found.texts:,} texts", len(words)) as (axes, svg):
        _bars(axes, [word.importance.value for word in words], [word.mean.value for word in words])
        for row, word in enumerate(words):
            _whisker(axes, row, word.importance)
        _rows(axes, [word.word for word in words])
        axes.set_xlabel("mean size of what a word adds to the logit, over all texts")
    return svg.getvalue()


def contrast(found: Contrast, *, most: int = 20) -> str:
    """Words whose worth a new version changed; hollow where the interval holds 0."""
    words = [word for word in found.words if word.difference.value != 0][: max(0, most)]
    title = f"New version against old by {found.method}, {found.texts:,} texts"
    with plot(title, len(words)) as (axes, svg):
        for row, word in enumerate(words):
            shift = word.difference
            colour = FOR if shift.value > 0 else AGAINST
            _whisker(axes, row, shift)
            axes.plot(
                [shift.value],
                [row],
                marker=">" if shift.value > 0 else "<",
                markersize=7,
                linestyle="",
                color=colour,
                markerfacecolor=colour if shift.clear_of_zero else "none",
                zorder=4,
            )
        _rows(axes, [word.word for word in words])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("what a word adds to the logit, new - old")
        _key(axes, (("gained", FOR, ">"), ("lost", AGAINST, "<")))
    return svg.getvalue()


def deletion(curves: Mapping[str, Curve]) -> str:
    """How far the logit drops as each method's strongest words are deleted; steeper is better."""
    return _curves(curves, "Deletion", "words deleted", "drop of the logit")


def insertion(curves: Mapping[str, Curve]) -> str:
    """How far the logit comes back as each method's strongest words are put back."""
    return _curves(curves, "Insertion", "words put back", "gain of the logit")


def cost(methods: Mapping[str, Cost]) -> str:
    """Each method's faithfulness over its cost; what costs nothing stands at the left edge."""
    paid = [method.seconds for method in methods.values() if method.seconds > 0]
    floor = min(paid, default=1.0) / 10
    with plot("Cost and faithfulness") as (axes, svg):
        for place, (name, method) in enumerate(methods.items()):
            at, mean = max(method.seconds, floor), method.faithfulness
            colour = COLOURS[place % len(COLOURS)]
            axes.plot([at, at], [mean.low, mean.high], color=INK, linewidth=1.0)
            axes.plot(
                [at],
                [mean.value],
                _MARKERS[place % len(_MARKERS)],
                color=colour,
                markersize=8,
                label=plain(name),
            )
        axes.set_xscale("log")
        axes.set_xlim(floor * 0.7, max(paid, default=1.0) * 2)
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
        axes.set_xlabel("seconds for one text (nothing at the left edge)")
        axes.set_ylabel("faithfulness")
    return svg.getvalue()


def _curves(curves: Mapping[str, Curve], title: str, over: str, of: str) -> str:
    with plot(title) as (axes, svg):
        for place, (name, curve) in enumerate(curves.items()):
            style = place % len(COLOURS)
            axes.plot(
                curve.share,
                curve.value,
                color=COLOURS[style],
                linestyle=DASHES[style],
                marker=_MARKERS[style],
                markersize=4,
                linewidth=1.6,
                label=plain(name),
            )
            if curve.low is not None and curve.high is not None:
                axes.fill_between(
                    curve.share, curve.low, curve.high, color=COLOURS[style], alpha=0.15, lw=0
                )
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.set_xlabel(over)
        axes.set_ylabel(of)
    return svg.getvalue()


def _bars(axes: Axes, lengths: Sequence[float], sides: Sequence[float]) -> None:
    """One bar a row; its side says its colour and whether it is hatched."""
    for row, (length, side) in enumerate(zip(lengths, sides, strict=True)):
        threat = side >= 0
        colour = FOR if threat else AGAINST
        axes.barh(
            row,
            length,
            height=0.72,
            facecolor=colour if threat else "none",
            edgecolor=colour,
            hatch=None if threat else "////",
        )
    _key(axes, (("for a threat", FOR, None), ("against", AGAINST, "////")))


def _key(axes: Axes, entries: Sequence[tuple[str, str, str | None]]) -> None:
    """Entries of the legend, whether or not the plot holds both sides."""
    for name, colour, sign in entries:
        if sign in (">", "<"):
            axes.plot([], [], color=colour, marker=sign, linestyle="", label=name)
        else:
            fill = "none" if sign else colour
            axes.fill_between([], [], facecolor=fill, edgecolor=colour, hatch=sign, label=name)


def _whisker(axes: Axes, row: int, interval: Interval) -> None:
    axes.plot([interval.low, interval.high], [row, row], color=INK, linewidth=1.2, zorder=3)


def _rows(axes: Axes, words: Sequence[str]) -> None:
    """Name the rows, the first at the top."""
    axes.set_yticks(range(len(words)), [plain(word) for word in words])
    axes.set_ylim(max(len(words), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
