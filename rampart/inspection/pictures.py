"""Pictures of what features are worth and give away, as SVG to be put into a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rampart.drawing import AGAINST, FOR, INK, plain, plot
from rampart.inspection.importance import FeatureImportance
from rampart.inspection.leakage import Leakage
from rampart.resampling import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def importance(found: FeatureImportance, *, most: int = 20) -> str:
    """The features with the largest permutation importance, and beside it their SHAP values."""
    features = found.features[: max(0, most)]
    top = max((one.permutation.value for one in features), default=1.0) or 1.0
    widest = max((one.shap.value for one in features), default=1.0) or 1.0
    with plot(f"Features, {found.texts:,} texts held out", 2 * len(features)) as (axes, svg):
        for row, one in enumerate(features):
            _bar(axes, row - 0.2, one.permutation, top, FOR, None)
            _bar(axes, row + 0.2, one.shap, widest, AGAINST, "////")
        axes.set_yticks(range(len(features)), [plain(one.feature) for one in features])
        axes.set_ylim(max(len(features), 1) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the largest, with 95 % intervals")
        axes.fill_between([], [], facecolor=FOR, label="permutation")
        axes.fill_between([], [], facecolor="none", edgecolor=AGAINST, hatch="////", label="SHAP")
    return svg.getvalue()


def leaks(found: Leakage, *, named: int = 12) -> str:
    """Each feature by how well it tells the label and how well a source among one label.

    What lies above the diagonal tells the source better; filled are those that do so beyond both
    intervals.
    """
    with plot("What features tell alone (AUC)") as (axes, svg):
        axes.plot([0.5, 1], [0.5, 1], color=INK, alpha=0.5, linewidth=0.8)
        for leaking, marker, colour, name in (
            (False, "o", AGAINST, "tells the label"),
            (True, "D", FOR, "leaks the source"),
        ):
            some = [one for one in found.features if one.leaks is leaking]
            axes.plot(
                [one.of_label.value for one in some],
                [one.of_source.value for one in some],
                marker,
                color=colour,
                markerfacecolor=colour if leaking else "none",
                markersize=5,
                label=name,
            )
        for one in found.features[: max(0, named)]:
            axes.annotate(
                plain(one.feature),
                (one.of_label.value, one.of_source.value),
                xytext=(5, 0),
                textcoords="offset points",
                fontsize=7,
                verticalalignment="center",
            )
        axes.set_xlim(0.49, 1.01)
        axes.set_ylim(0.49, 1.01)
        axes.set_xlabel("threat or harmless")
        axes.set_ylabel("one source among those of its label")
    return svg.getvalue()


def _bar(axes: Axes, row: float, of: Interval, top: float, colour: str, hatch: str | None) -> None:
    axes.barh(
        row,
        of.value / top,
        height=0.38,
        facecolor="none" if hatch else colour,
        edgecolor=colour,
        hatch=hatch,
    )
    axes.plot([of.low / top, of.high / top], [row, row], color=INK, linewidth=1.0, zorder=3)
