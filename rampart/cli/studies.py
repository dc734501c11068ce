"""How the command line shows studies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rampart.cli.console import columns, err, facts, out, print_json, printable

if TYPE_CHECKING:
    from rampart.tuning.final import Final
    from rampart.tuning.settings import Value
    from rampart.tuning.summary import BestTrial, StudySummary


class Shown:
    """A study's budget as a bar, and each better trial as a line."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.tell = tell
        self.best = ""

    def __call__(self, study: StudySummary) -> None:
        """Show how it stands now."""
        self.tell(*study.progress)
        if study.best:
            first = study.best[0]
            values = _figures(first)
            if values != self.best:
                self.best = values
                err.print(f"trial {first.number}: {values}")


def print_study(study: StudySummary, *, as_json: bool) -> None:
    """Print how a study stands, with its best trials."""
    if as_json:
        print_json(study.model_dump(mode="json"))
        return
    states = ", ".join(f"{count} {state}" for state, count in sorted(study.trials.items()))
    out.print(
        facts(
            {
                "study": study.name,
                "target": study.target,
                "state": study.state,
                "trials": states or "none",
                "tried again": study.retried,
                "seconds": f"{study.seconds:.0f}",
                "begun": f"{study.started:%Y-%m-%d %H:%M} UTC",
            }
        )
    )
    for error in study.errors:
        out.print(f"A trial failed: {printable(error)}")
    for trial in study.best:
        out.print(f"\ntrial {trial.number}: {_figures(trial)}")
        out.print("\n".join(lines(trial.parameters)))


def lines(parameters: dict[str, Value]) -> list[str]:
    """Parameters as options of `rampart pipeline run training`."""
    return [
        f"--set {name}={f'{value:.6g}' if isinstance(value, float) else printable(str(value))}"
        for name, value in parameters.items()
    ]


def print_final(final: Final) -> None:
    """Print default and tuned figures on the test part, and what lies between."""
    shown = columns(f"{final.rows} messages, {final.positives} threats", "", *final.titles.values())
    for row, figures in final.figures.items():
        shown.add_row(row, *(str(figures[metric]) for metric in final.titles))
    shown.add_row(
        "tuned less default", *(final.difference[metric].signed() for metric in final.titles)
    )
    out.print(shown)


def _figures(trial: BestTrial) -> str:
    return ", ".join(f"{key} {value:.4f}" for key, value in trial.values.items())
