"""Explanations as HTML that needs no script and reads without colour.

The text is shown as it was sent, whatever it holds: it is escaped, its control characters and lone
surrogates become U+FFFD, and signs that are not seen but rule how others are (bidirectional
controls, zero-width ones, tags) are named in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from rampart.explain.attribution import Attribution
from rampart.explain.marks import STRENGTHS, Stretch, largest_value, stretches
from rampart.models.base import sigmoid

if TYPE_CHECKING:
    from markupsafe import Markup

MINUS = "\N{MINUS SIGN}"

_STRONGEST = 10
_EXCERPT = 60
# Less than this is rounding.
_ROUNDING = 1e-6
# C0 but for tab and line feed, DEL, C1, and surrogates, which UTF-8 cannot hold.
_UNSHOWN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSEEN = re.compile(
    "([\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f])\\1*"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """A text and one explanation of it; several of one text stand side by side.

    Attributes:
        name: the method, or the version of the model.
        text: as sent.
        attribution: its explanation.
    """

    name: str
    text: str
    attribution: Attribution


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of `rampart.explain.plots` and a sentence below it; its SVG is not escaped."""

    svg: str
    caption: str


def fragment(panels: Sequence[Panel], *, same_scale: bool = False) -> str:
    """Explanations of one text, side by side, as an element to be put into a page.

    Args:
        panels: one or more.
        same_scale: whether strength is measured by the strongest of all, as two versions of a
            model want it, or by each panel's own, as methods do.

    Returns:
        HTML that brings its style along and loads nothing.

    Raises:
        InputError: an explanation is of another text.
    """
    return _rendered(
        whole=False,
        title="",
        notes=[],
        plots=[],
        sections=[_section("", panels, same_scale=same_scale)],
        same_scale=same_scale,
    )


def document(
    sections: Mapping[str, Sequence[Panel]],
    *,
    title: str,
    notes: Sequence[str] = (),
    plots: Sequence[Plot] = (),
    same_scale: bool = False,
) -> str:
    """Explanations of several texts as one HTML document.

    Args:
        sections: a heading for each text and its explanations, shown side by side.
        title: of the document.
        notes: what the reader should know, a sentence or two each.
        plots: shown below.
        same_scale: as in `fragment`, by section.

    Returns:
        HTML under a policy that lets a browser load and run nothing.

    Raises:
        InputError: an explanation is of another text.
    """
    return _rendered(
        whole=True,
        title=title,
        notes=notes,
        plots=plots,
        sections=[
            _section(heading, panels, same_scale=same_scale) for heading, panels in sections.items()
        ],
        same_scale=same_scale,
    )


def signed(value: float) -> str:
    """A value as its small number says it: with its sign, short."""
    digits = f"{abs(value):.2f}" if abs(value) < 1000 else f"{abs(value):.3g}"
    return f"{'+' if value >= 0 else MINUS}{digits}"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What the template shows of a panel."""

    name: str
    stretches: list[Stretch]
    strongest: list[tuple[str, float]]
    facts: dict[str, str]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Section:
    heading: str
    panels: list[_Drawn]


def _section(heading: str, panels: Sequence[Panel], *, same_scale: bool) -> _Section:
    largest = None
    if same_scale:
        largest = largest_value(
            [panel.text for panel in panels], [panel.attribution for panel in panels]
        )
    return _Section(heading, [_drawn(panel, largest) for panel in panels])


def _drawn(panel: Panel, largest: float | None) -> _Drawn:
    attribution = panel.attribution
    order = np.argsort(-np.abs(attribution.value), kind="stable")[:_STRONGEST]
    strongest = []
    for row in order[attribution.value[order] != 0].tolist():
        start, end = int(attribution.start[row]), int(attribution.end[row])
        excerpt = panel.text[start : min(end, start + _EXCERPT)]
        more = "\N{HORIZONTAL ELLIPSIS}" if end - start > _EXCERPT else ""
        strongest.append((excerpt + more, float(attribution.value[row])))
    return _Drawn(
        name=panel.name,
        stretches=stretches(panel.text, attribution, largest=largest),
        strongest=strongest,
        facts=_facts(attribution),
        complete=attribution.complete,
    )


def _facts(attribution: Attribution) -> dict[str, str]:
    """The figures of the sum, and what they cost."""
    missed = attribution.unexplained
    spans = f"{len(attribution)} span{'' if len(attribution) == 1 else 's'}"
    found = {
        "Bias": signed(attribution.base),
        "Sum of values": f"{signed(float(attribution.value.sum()))} ({spans})",
    }
    if abs(missed) > _ROUNDING * max(1.0, abs(attribution.logit)):
        found["Not accounted for"] = signed(missed)
    calls = f"{attribution.calls:,} text{'' if attribution.calls == 1 else 's'} scored"
    return found | {
        "Logit": signed(attribution.logit),
        "Probability": f"{float(sigmoid(np.array([attribution.logit]))[0]):.4f}",
        "Method": attribution.method,
        "Cost": f"{calls}, {attribution.seconds:.2f} s" if attribution.calls else "no text scored",
        "Seed": "none, it draws nothing" if attribution.seed is None else str(attribution.seed),
        "Complete": "yes" if attribution.complete else "no, its budget ran out",
    }


def _rendered(**values: Any) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(lambda name: (files(__package__) / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _visible, "signed": signed, "hint": _hint}
    # matplotlib has escaped what it was given.
    environment.filters["svg"] = Markup
    html = environment.get_template("pictures.html.j2").render(strengths=STRENGTHS, **values)
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", html.replace("\r\n", "\n").replace("\r", "\n"))


def _visible(text: str) -> Markup:
    """The text, escaped, with names in the place of what is not seen."""
    from markupsafe import Markup, escape

    shown: list[str] = []
    position = 0
    for run in _UNSEEN.finditer(text):
        count = run.end() - run.start()
        times = f"\N{MULTIPLICATION SIGN}{count}" if count > 1 else ""
        shown.append(escape(text[position : run.start()]))
        shown.append(f"<i>U+{ord(run[1]):04X}{times}</i>")
        position = run.end()
    shown.append(escape(text[position:]))
    return Markup("".join(shown))  # noqa: S704 - each piece is escaped


def _hint(stretch: Stretch) -> str:
    """What a stretch says when it is pointed at; nothing of the text is in it."""
    side = "for" if stretch.value > 0 else "against"
    overlap = f", sum of {stretch.spans} overlapping spans" if stretch.spans > 1 else ""
    strength = f"strength {stretch.strength} of {STRENGTHS}" if stretch.strength else "weak"
    return f"{signed(stretch.value)}, {side} a threat, {strength}{overlap}"
