"""What was measured, as tables and pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.table import Table

from benchmarks.faithfulness.measuring import COMES, UNLEARNED, Measured
from rampart.explain.attribution import Attribution
from rampart.explain.faithfulness import Faithfulness
from rampart.explain.faithfulness_summary import FaithfulnessSummary, advantage, summarise
from rampart.explain.pictures import Panel, Plot, document
from rampart.explain.plots import Cost, Curve, cost, deletion, insertion
from rampart.resampling import Interval

_AT = (0.1, 0.2)
Summaries = Mapping[str, FaithfulnessSummary]


def by_method(measured: Sequence[Measured]) -> dict[str, list[Faithfulness]]:
    """Each method's figures, in the order of the texts."""
    found: dict[str, list[Faithfulness]] = defaultdict(list)
    for text in measured:
        for faithful in text.faithful:
            found[faithful.method].append(faithful)
    return dict(found)


def summaries(measured: Sequence[Measured]) -> dict[str, FaithfulnessSummary]:
    """Each method over all texts."""
    campaigns = [text.campaign for text in measured]
    return {
        name: summarise(figures, campaigns=campaigns)
        for name, figures in by_method(measured).items()
    }


def methods_table(title: str, found: Summaries) -> Table:
    """Every method's figures beside its cost."""
    table = Table(
        "method", *(f"drop at {share:.0%}" for share in _AT),
        "comprehensive", "sufficient", "infidelity", "misfit", "texts scored", "seconds",
        title=title,
    )  # fmt: skip
    for name, one in found.items():
        table.add_row(
            name,
            *(_interval(one.deletion[one.shares.index(share)]) for share in _AT),
            f"{one.comprehensiveness.value:.3f}",
            f"{one.sufficiency.value:.3f}",
            f"{one.infidelity.value:.2f}",
            "" if one.misfit is None else f"{one.misfit.value:.2f}",
            f"{one.calls:.0f}",
            f"{one.seconds:.4f}" if one.seconds < 0.1 else f"{one.seconds:.2f}",
        )
    return table


def against_table(title: str, measured: Sequence[Measured]) -> Table:
    """What comes with the verdict against every other method, paired by text."""
    campaigns = [text.campaign for text in measured]
    figures = by_method(measured)
    table = Table(
        "against",
        *(f"more drop at {share:.0%}" for share in _AT),
        *(f"as a share of its drop at {share:.0%}" for share in _AT),
        title=title,
    )
    for name, theirs in figures.items():
        if name == COMES:
            continue
        found = advantage(figures[COMES], theirs, campaigns=campaigns)
        at = [found.shares.index(share) for share in _AT]
        ratios = [found.ratio[place] for place in at]
        table.add_row(
            name,
            *(_interval(found.difference[place], "+.2f") for place in at),
            *("" if ratio is None else _interval(ratio, ".0%") for ratio in ratios),
        )
    return table


def agreement_table(title: str, measured: Sequence[Measured]) -> Table:
    """Mean rank correlation of each pair of methods, and the share of strongest words shared."""
    pairs: dict[tuple[str, str], list[tuple[float | None, float | None]]] = defaultdict(list)
    for text in measured:
        for pair in text.agreeing:
            pairs[pair.methods].append((pair.correlation, pair.overlap))
    names = list(by_method(measured))
    table = Table("", *names, title=title)
    for one in names:
        row = []
        for other in names:
            found = pairs.get((one, other)) or pairs.get((other, one)) or []
            correlation, overlap = (_mean([values[at] for values in found]) for at in (0, 1))
            row.append("" if not found else f"{correlation:.2f} / {overlap:.0%}")
        table.add_row(one, *row)
    return table


def stability_table(title: str, measured: Sequence[Measured]) -> Table | None:
    """Mean rank correlation of a text's words before and after each harmless edit."""
    found: dict[str, dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    shifts: dict[str, list[float | None]] = defaultdict(list)
    for text in measured:
        for stable in text.stable:
            found[stable.method][stable.edit].append(stable.correlation)
            shifts[stable.edit].append(abs(stable.shift))
    if not found:
        return None
    edits = list(shifts)
    texts = sum(1 for text in measured if text.stable)
    table = Table("method", *edits, title=f"{title} ({texts} texts)")
    for name, of_edit in found.items():
        table.add_row(name, *(f"{_mean(of_edit[edit]):.2f}" for edit in edits))
    table.add_row("(shift of the logit)", *(f"{_mean(shifts[edit]):.2f}" for edit in edits))
    return table


def page(
    title: str, found: Mapping[str, Summaries], shown: Mapping[str, tuple[str, list[Attribution]]]
) -> str:
    """The pictures of it all as one HTML document, with some texts explained by every method."""
    plots = []
    for target, methods in found.items():
        words = "share of the words, strongest first"
        plots += [
            Plot(deletion(_curves(methods, lambda one: one.deletion)), f"{target}: {words}."),
            Plot(insertion(_curves(methods, lambda one: one.insertion)), f"{target}: {words}."),
            Plot(
                cost({name: _cost(one) for name, one in methods.items()}),
                f"{target}: the drop of the logit at a fifth of the words, over seconds a text.",
            ),
        ]
    sections = {
        heading: [Panel(one.method, text, one) for one in explained]
        for heading, (text, explained) in shown.items()
    }
    return document(sections, title=title, plots=plots)


def _curves(
    methods: Summaries, of: Callable[[FaithfulnessSummary], Sequence[Interval]]
) -> dict[str, Curve]:
    curves = {}
    for name, one in methods.items():
        value, low, high = np.array([(i.value, i.low, i.high) for i in of(one)]).T
        curves[name] = Curve(np.array(one.shares), value, low, high)
    return curves


def _cost(one: FaithfulnessSummary) -> Cost:
    seconds = 0.0 if one.method in (COMES, UNLEARNED) else one.seconds
    return Cost(seconds, one.deletion[one.shares.index(_AT[-1])])


def _interval(found: Interval, form: str = ".2f") -> str:
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _mean(values: Sequence[float | None]) -> float:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if told else float("nan")
