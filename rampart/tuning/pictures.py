"""Pictures of a study, as SVG to be put into a page."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from rampart.drawing import COLOURS, INK, plain, plot
from rampart.models.base import Floats
from rampart.tuning.settings import Objective, StudySettings
from rampart.tuning.studies import settings_of
from rampart.tuning.trials import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES: dict[Objective, str] = {
    "recall": "recall at 1 % FPR",
    "cost": "milliseconds a message",
}
_WIDTH = 4.8
_FEWEST = 4
"""Complete trials that importance can be told from."""


def drawn(study: optuna.Study) -> dict[str, str]:
    """Every picture that the trials suffice for, by name: history, importance and so on."""
    settings = settings_of(study)
    trials = counted(study.get_trials(deepcopy=False))
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    found: dict[str, str] = {}
    if complete:
        found["history"] = history(trials, settings)
    if steps := [trial for trial in trials if trial.intermediate_values]:
        found["steps"] = stepwise(steps, settings)
    if known := importances(study):
        found["importance"] = importance(known)
    if len(complete) > 1:
        found["parallel"] = parallel(complete, settings)
    if complete and len(settings.objectives) > 1:
        found["pareto"] = pareto(complete, study.best_trials, settings)
    return found


def history(trials: Sequence[FrozenTrial], settings: StudySettings) -> str:
    """The first objective of each trial, the best so far as a line, and what was pruned."""
    name = settings.objectives[0]
    rises = settings.directions[0] == "maximize"
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    values = np.array([trial.values[0] for trial in complete])
    best = np.maximum.accumulate(values) if rises else np.minimum.accumulate(values)
    with plot("Trials, one after the other", width=_WIDTH) as (axes, svg):
        numbers = [trial.number for trial in complete]
        axes.plot(numbers, values, "o", color=COLOURS[0], markersize=4, label="complete")
        axes.step(numbers, best, where="post", color=COLOURS[1], linewidth=1.8, label="best so far")
        if pruned:
            floor = np.full(len(pruned), values.min())
            axes.plot(
                [trial.number for trial in pruned],
                floor, "|", color=INK, alpha=0.6, label="pruned",
            )  # fmt: skip
        axes.set_xlabel("trial")
        axes.set_ylabel(TITLES[name])
    return svg.getvalue()


def stepwise(trials: Sequence[FrozenTrial], settings: StudySettings) -> str:
    """What each trial had come to after each step, and where the pruner ended it."""
    units = {"ngram": "ninths of the texts", "tabular": "rounds", "encoder": "epochs"}
    with plot("Step by step", width=_WIDTH) as (axes, svg):
        for state, colour, name in (
            (TrialState.PRUNED, COLOURS[1], "pruned"),
            (TrialState.COMPLETE, COLOURS[0], "complete"),
        ):
            label: str | None = name
            for trial in (trial for trial in trials if trial.state == state):
                steps, values = zip(*sorted(trial.intermediate_values.items()), strict=True)
                axes.plot(
                    steps, values, ".-", color=colour, alpha=0.6, linewidth=0.9, markersize=3,
                    label=label,
                )  # fmt: skip
                label = None
        axes.set_xlabel(units.get(settings.target, "steps"))
        axes.set_ylabel("- validation loss" if settings.target == "encoder" else TITLES["recall"])
    return svg.getvalue()


def importances(study: optuna.Study) -> dict[str, float]:
    """What share of the first objective's spread each parameter accounts for, by fANOVA.

    Nothing where trials are too few or all alike. Source: Hutter et al., "An Efficient Approach for
    Assessing Hyperparameter Importance", 2014.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.values[0] for trial in complete}) < 2 or len(complete) < _FEWEST:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        return optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
            target=lambda trial: trial.values[0],
        )


def importance(known: dict[str, float]) -> str:
    """Parameters by the share of the spread that they account for."""
    names = list(known)
    with plot("Which parameters matter", len(names), width=_WIDTH) as (axes, svg):
        axes.barh(range(len(names)), list(known.values()), height=0.6, color=COLOURS[0], alpha=0.7)
        axes.set_yticks(range(len(names)), [plain(name) for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the spread")
    return svg.getvalue()


def parallel(complete: Sequence[FrozenTrial], settings: StudySettings) -> str:
    """Each complete trial as a line through its values, the better the darker."""
    names = sorted({name for trial in complete for name in trial.params})
    heights = {name: _heights(complete, name) for name in names}
    values = np.array([trial.values[0] for trial in complete])
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable") / max(1, len(values) - 1)
    if settings.directions[0] == "minimize":
        rank = 1.0 - rank
    with plot("Values and what they led to", width=2 * _WIDTH) as (axes, svg):
        for place in np.argsort(rank, kind="stable"):
            at = [heights[name][0][place] for name in names]
            share = float(rank[place])
            axes.plot(
                [*range(len(names)), len(names)], [*at, _within(values)[place]],
                color=COLOURS[1] if share == 1.0 else COLOURS[0],
                alpha=0.1 + 0.8 * share**2, linewidth=0.7 + 1.4 * share,
            )  # fmt: skip
        labels = [f"{plain(name)}\n{_range(*heights[name][1])}" for name in names]
        axes.set_xticks(
            range(len(names) + 1),
            [*labels, f"{TITLES[settings.objectives[0]]}\n{_range(values.min(), values.max())}"],
            fontsize=8,
        )
        axes.set_yticks([])
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel("lowest to highest")
    return svg.getvalue()


def pareto(
    complete: Sequence[FrozenTrial], front: Sequence[FrozenTrial], settings: StudySettings
) -> str:
    """Both objectives of each trial, and those that no other beats in both."""
    first, second = settings.objectives
    with plot("What recall costs", width=_WIDTH) as (axes, svg):
        _points(axes, complete, "o", COLOURS[0], "beaten", alpha=0.5, markersize=4)
        order = sorted(front, key=lambda trial: trial.values[1])
        axes.plot(
            [trial.values[1] for trial in order], [trial.values[0] for trial in order],
            "D-", color=COLOURS[1], markersize=5, linewidth=1.4, label="beaten by none",
        )  # fmt: skip
        axes.set_xlabel(TITLES[second])
        axes.set_ylabel(TITLES[first])
    return svg.getvalue()


def _points(
    axes: Axes, trials: Sequence[FrozenTrial], mark: str, colour: str, label: str, **more: Any
) -> None:
    axes.plot(
        [trial.values[1] for trial in trials], [trial.values[0] for trial in trials],
        mark, color=colour, label=label, **more,
    )  # fmt: skip


def _heights(complete: Sequence[FrozenTrial], name: str) -> tuple[Floats, tuple[object, object]]:
    """Of each trial's value between 0 and 1, NaN where it has none; the lowest and the highest."""
    raw = [trial.params.get(name) for trial in complete]
    known = [value for value in raw if value is not None]
    if any(isinstance(value, str) for value in known):
        order = sorted({str(value) for value in known})
        heights = [np.nan if value is None else order.index(str(value)) for value in raw]
        return _within(np.array(heights, dtype=np.float64)), (order[0], order[-1])
    numbers = np.array([np.nan if value is None else value for value in raw], dtype=np.float64)
    spread = next(trial.distributions[name] for trial in complete if name in trial.distributions)
    log = getattr(spread, "log", False)
    return _within(np.log(numbers) if log else numbers), (min(known), max(known))


def _within(values: Floats) -> Floats:
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)


def _range(low: object, high: object) -> str:
    def said(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return said(low) if low == high else f"{said(low)} to {said(high)}"
