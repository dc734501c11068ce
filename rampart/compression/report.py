"""The variants of an encoder as a page: what each costs and loses, and which one is served."""

from __future__ import annotations

from rampart.compression.costs import SHAPES, shape_name
from rampart.compression.variants import Comparison
from rampart.drawing import AGAINST, FOR, plain, plot


def picture(comparison: Comparison) -> str:
    """F1 over time as SVG: filled on the Pareto front, the one that is served named so."""
    with plot("F1 of the encoder alone over CPU ms a text of 128 tokens") as (axes, svg):
        judged = [(one, one.f1) for one in comparison.variants if one.f1 is not None]
        for variant, f1 in judged:
            axes.plot(
                [variant.time],
                [f1],
                "D" if variant.name == comparison.chosen else "o",
                color=FOR if variant.name == comparison.chosen else AGAINST,
                markerfacecolor=None if variant.front else "none",
                markersize=7,
            )
            axes.annotate(
                plain(variant.name), (variant.time, f1), xytext=(6, 3),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
        front = sorted((one.time, f1) for one, f1 in judged if one.front)
        axes.plot(*zip(*front, strict=True), color=AGAINST, linewidth=0.8, alpha=0.6,
                  label="the Pareto front")  # fmt: skip
        least = judged[0][1] - comparison.tolerance
        axes.axhline(least, color=FOR, linestyle="--", linewidth=0.8, label="the least allowed")
        axes.set_xlabel("CPU ms, one thread")
        axes.set_ylabel("F1")
        axes.margins(0.15)
    return svg.getvalue()


def page(comparison: Comparison) -> str:
    """The whole page as HTML that loads nothing."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("rampart.compression", package_path="")
    template = Environment(autoescape=True, loader=loader).get_template("report.html.j2")
    return template.render(
        comparison=comparison,
        picture=picture(comparison),
        shapes=[(shape_name(*shape), shape) for shape in SHAPES],
    )
