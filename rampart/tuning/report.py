"""One HTML page that shows a study: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from rampart.tuning.final import Final
from rampart.tuning.pictures import TITLES, drawn
from rampart.tuning.studies import StudySummary, find, summary
from rampart.tuning.trials import ERROR, counted

CAPTIONS = {
    "history": "The figure of each trial, and the best up to it; pruned ones have none.",
    "steps": "What the pruner saw: a trial that was behind the others at a step was ended there.",
    "importance": "How much of the spread of the figure each parameter accounts for (fANOVA).",
    "parallel": "A line is a trial, from its parameters to its figure; the best is another colour.",
    "pareto": "A trial on the line is beaten by no other in both recall and cost.",
}


def write_report(storage: str, name: str, path: Path, final: Final | None = None) -> None:
    """Write the page of a study.

    Args:
        storage: where the study lies.
        name: of the study.
        path: of the page.
        final: figures on the test part, where they were measured.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    known = summary(storage, name)
    _, study = find(storage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(known, study, final), encoding="utf-8")


def write_pictures(storage: str, name: str, folder: Path) -> list[Path]:
    """Write each picture as an SVG file of its own; returns the files.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    _, study = find(storage, name)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for title, svg in drawn(study).items():
        file = folder / f"{title}.svg"
        # Alone, it has no page to take its colour from.
        file.write_text(svg.replace("<svg ", '<svg color="#1b1f24" ', 1), encoding="utf-8")
        written.append(file)
    return written


def render(known: StudySummary, study: optuna.Study, final: Final | None = None) -> str:
    """The page as one HTML document, every name escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(lambda name: (files(__package__) / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    trials = counted(study.get_trials(deepcopy=False))
    return environment.get_template("report.html.j2").render(
        study=known,
        titles=TITLES,
        final=final,
        # matplotlib has escaped what it was given.
        pictures={
            CAPTIONS[name]: Markup(svg)  # noqa: S704
            for name, svg in drawn(study).items()
        },
        asked=known.settings.model_dump(mode="json", exclude={"name"}),
        names=sorted({name for trial in trials for name in trial.params}),
        trials=[_row(trial, known) for trial in trials],
    )


def _row(trial: FrozenTrial, known: StudySummary) -> Mapping[str, object]:
    figures = trial.values if trial.values and trial.state.name == "COMPLETE" else []
    begun, ended = trial.datetime_start, trial.datetime_complete
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "best": trial.number in {best.number for best in known.best},
        "values": figures or [None] * len(known.settings.objectives),
        "parameters": trial.params,
        "steps": max(trial.intermediate_values, default=None),
        "seconds": (ended - begun).total_seconds() if begun and ended else None,
        "error": trial.user_attrs.get(ERROR, ""),
    }
