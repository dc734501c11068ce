"""One HTML file that shows what was measured: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from rampart.ensembles.cascade import NAME as CASCADE
from rampart.ensembles.cascade import CascadeReport
from rampart.evaluation import curves
from rampart.evaluation.diversity import Pair, diversity
from rampart.evaluation.evaluation import Evaluation, scored
from rampart.evaluation.metrics import METRICS
from rampart.evaluation.slices import MEANING
from rampart.resampling import Interval

if TYPE_CHECKING:
    from markupsafe import Markup

SLICE_METRICS = ("f1", "precision", "recall", "false_positive_rate", "recall_at_1_fpr", "pr_auc")
"""What the tables of slices show."""

_MOST_MISTAKES = 10


@dataclass(frozen=True)
class Section:
    """One test split.

    Attributes:
        name: short, for the head of a column: "Campaign split".
        description: how the split was made and what it stands for.
        table: the predictions that were measured.
        evaluation: what came out.
    """

    name: str
    description: str
    table: pd.DataFrame
    evaluation: Evaluation


class Mistake(NamedTuple):
    """A row with the wrong verdict."""

    id: str
    group: str
    label: int
    probability: float


class _Picture(NamedTuple):
    svg: Markup
    caption: str


def render(
    sections: Sequence[Section],
    *,
    title: str,
    facts: Mapping[str, str],
    notes: Sequence[str],
    cascade: CascadeReport | None = None,
) -> str:
    """The report as one HTML document.

    Args:
        sections: the splits, shown side by side; at least one.
        title: of the document.
        facts: what the reader should know first, by name: data, revision, date.
        notes: limits of what was measured, a sentence or two each.
        cascade: what settling texts early costs, if that was asked.

    Returns:
        HTML in which every name, id and note is escaped, under a policy that lets a browser load
        and run nothing.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: (files(__package__) / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["beyond_zero"] = beyond_zero
    return environment.get_template("report.html.j2").render(
        sections=sections,
        title=title,
        facts=facts,
        notes=notes,
        models=_models(sections),
        metrics=METRICS,
        slice_metrics={name: METRICS[name] for name in SLICE_METRICS},
        meaning=MEANING,
        pictures=[_pictures(section) for section in sections],
        pairs=[pairs_of(section) for section in sections],
        mistakes=[mistakes(section) for section in sections],
        cascade=cascade,
        cascade_picture=_cascade_picture(cascade),
    )


def mistakes(section: Section, most: int = _MOST_MISTAKES) -> list[Mistake]:
    """The ensemble's wrong verdicts, the surest first."""
    name = section.evaluation.ensemble
    threshold = section.evaluation.thresholds[name]
    table = section.table
    wrong = table[(table[name] >= threshold) != (table["label"] == 1)]
    doubt = (wrong[name] - wrong["label"]).abs()
    surest = wrong.loc[doubt.sort_values(ascending=False, kind="stable").index[:most]]
    return [
        Mistake(str(row["id"]), str(row["group"]), int(row["label"]), float(row[name]))
        for row in surest.to_dict("records")
    ]


def pairs_of(section: Section) -> list[Pair]:
    """How differently each two of the section's models err, the ensemble left out."""
    limits = section.evaluation.thresholds
    several = (section.evaluation.ensemble, CASCADE)
    single = {name: limit for name, limit in limits.items() if name not in several}
    probabilities = {name: section.table[name].to_numpy() for name in single}
    return diversity(probabilities, single, section.table["label"].to_numpy())


def beyond_zero(difference: Interval | None) -> bool:
    """Whether a difference is told from none: its interval does not hold 0."""
    return difference is not None and (difference.low > 0 or difference.high < 0)


def _models(sections: Sequence[Section]) -> list[str]:
    """Every model that a section measures, each ensemble before the others."""
    ensembles = [section.evaluation.ensemble for section in sections]
    others = [name for section in sections for name in section.evaluation.thresholds]
    return list(dict.fromkeys([*ensembles, *others]))


def _cascade_picture(cascade: CascadeReport | None) -> Markup | None:
    from markupsafe import Markup

    if cascade is None or not cascade.trials:
        return None
    return Markup(curves.cascade(cascade))  # noqa: S704 - as below


def _pictures(section: Section) -> list[_Picture]:
    """The section's pictures; those that need both classes only where both are there."""
    from markupsafe import Markup

    evaluation = section.evaluation
    ensemble = evaluation.ensemble
    order = {ensemble: evaluation.thresholds[ensemble]} | evaluation.thresholds
    rankings = scored(section.table, order)

    def picture(svg: str, caption: str) -> _Picture:
        # matplotlib has escaped what it was given.
        return _Picture(Markup(svg), caption)  # noqa: S704

    drawn = []
    if rankings[ensemble].both_classes:
        drawn += [
            picture(
                curves.roc(rankings),
                "Recall over the share of harmless mail flagged. A dot is a model's own threshold.",
            ),
            picture(
                curves.precision_recall(rankings),
                "Precision over recall. A dot is a model's own threshold.",
            ),
        ]
    if pairs := pairs_of(section):
        drawn.append(
            picture(
                curves.errors(pairs),
                "Rows that the models of a pair get wrong at their thresholds: what both get "
                "wrong, no vote of theirs mends.",
            )
        )
    return [
        *drawn,
        picture(
            curves.calibration(rankings),
            "A probability that means what it says lies on the diagonal. "
            "Each point stands for equally many rows.",
        ),
        picture(
            curves.histogram(rankings[ensemble]),
            f"Rows by the probability that {ensemble} gives them.",
        ),
    ]
