"""Pictures of what a model does at every threshold, as SVG to be put into a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rampart.drawing import COLOURS, DASHES, INK, plain, plot
from rampart.ensembles.cascade import CascadeReport
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

# Of a picture, in inches: two stand side by side in the report.
_WIDTH = 4.8
# Of lines; the first model is the one that the report is about.
_WIDTHS = (2.2, 1.6, 1.6, 1.6, 1.6, 1.6)
# Where a logarithmic scale puts a bin without a row.
_NO_ROW = 0.7
_HARMLESS, _THREAT = COLOURS[0], COLOURS[1]


def roc(models: Mapping[str, Scored]) -> str:
    """ROC curves over a logarithmic false-positive rate, with each model's threshold as a dot.

    Raises:
        DataError: a class is missing.
    """
    with plot("ROC curves", width=_WIDTH) as (axes, svg):
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
            axes.axvline(rate, color=INK, alpha=0.4, linewidth=0.8, linestyle=":")
        axes.set_xlabel("false-positive rate (0 at the left edge)")
        axes.set_ylabel("recall")
    return svg.getvalue()


def precision_recall(models: Mapping[str, Scored]) -> str:
    """Precision over recall, with each model's threshold as a dot.

    Raises:
        DataError: a class is missing.
    """
    with plot("Precision and recall", width=_WIDTH) as (axes, svg):
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
    with plot("Calibration", width=_WIDTH) as (axes, svg):
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=0.8)
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
    with plot("Scores by label", width=_WIDTH) as (axes, svg):
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
        axes.axvline(scored.threshold, color=INK, linewidth=1.2, linestyle="--", label="threshold")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda rows, _: f"{rows:,.0f}")
        axes.set_ylim(bottom=_NO_ROW)
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability")
        axes.set_ylabel("rows")
    return svg.getvalue()


def errors(pairs: Sequence[Pair]) -> str:
    """Share of rows that one model of each pair gets wrong alone, and that both get wrong."""
    with plot("Errors that models share", width=_WIDTH) as (axes, svg):
        left = np.zeros(len(pairs))
        for name, widths, colour, hatch in (
            ("the first alone", [pair.alone[0] for pair in pairs], COLOURS[0], ""),
            ("both", [pair.double_fault for pair in pairs], COLOURS[1], "////"),
            ("the second alone", [pair.alone[1] for pair in pairs], COLOURS[5], ".."),
        ):
            axes.barh(
                range(len(pairs)), widths, left=left, height=0.6,
                facecolor=(colour, 0.5), edgecolor=colour, hatch=hatch, label=name,
            )  # fmt: skip
            left += widths
        names = ["\n".join(plain(model) for model in pair.models) for pair in pairs]
        axes.set_yticks(range(len(pairs)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.set_xlabel("share of rows")
    return svg.getvalue()


def cascade(report: CascadeReport) -> str:
    """Recall and F1 over the share of texts that all models are asked for, band by band."""
    with plot("What settling early costs", width=_WIDTH) as (axes, svg):
        trials = report.trials
        asked = [100 * (1 - trial.settled) for trial in trials]
        for place, (name, whole, values) in enumerate(
            (
                ("recall", report.recall, [trial.recall for trial in trials]),
                ("F1", report.f1, [trial.f1 for trial in trials]),
            )
        ):
            # None, where a figure is undefined, becomes NaN and is not drawn.
            heights = np.array([whole, *values], dtype=np.float64)
            _line(axes, [100.0, *asked], heights, name, place, marker="o", markersize=3.5)
        for trial, at in zip(trials, asked, strict=True):
            if trial.doubt == report.doubt:
                axes.axvline(at, color=INK, linewidth=1.2, linestyle="--", label="taken")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:g} %")
        axes.set_xlabel("texts that all models are asked for")
        axes.set_ylabel("on the validation part")
    return svg.getvalue()


def _line(axes: Axes, x: Any, y: Any, name: str, place: int, **more: Any) -> None:
    style = place % len(COLOURS)
    axes.plot(
        x,
        y,
        color=COLOURS[style],
        linestyle=DASHES[style],
        linewidth=_WIDTHS[style],
        label=plain(name),
        **more,
    )


def _dot(axes: Axes, x: float, y: float, place: int) -> None:
    axes.plot([x], [y], "o", color=COLOURS[place % len(COLOURS)], markersize=6, clip_on=False)


def _harmless(scored: Scored) -> float:
    return float(np.sum(scored.label == 0)) or 1.0
