"""What counts as one trial, whoever ran it and however often.

A trial whose worker died is tried again under a number of its own; the attempts are one trial, and
the last of them is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from rampart.tuning.settings import StudySettings

WORKER, ERROR, HALTED = "worker", "error", "halted"
"""Attributes of a trial: who runs it, why it failed where that was its own fault, and that somebody
asked for it to be broken off, which is no fault at all."""


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The last attempt of each trial, in their order."""
    before = {number for trial in trials for number in attempts(trial)}
    return [trial for trial in trials if trial.number not in before]


def attempts(trial: FrozenTrial) -> list[int]:
    """Numbers of the attempts at a trial that came before this one."""
    history: list[int] = trial.system_attrs.get("retry_history", [])
    return history


def exhausted(trials: Sequence[FrozenTrial], settings: StudySettings) -> bool:
    """Whether trials begun, or the seconds of all, have come to the budget."""
    begun = [trial for trial in counted(trials) if trial.state != TrialState.WAITING]
    if settings.trials is not None and len(begun) >= settings.trials:
        return True
    return settings.seconds is not None and computed_seconds(trials) >= settings.seconds


def computed_seconds(trials: Sequence[FrozenTrial]) -> float:
    """Seconds that trials have taken, all attempts and workers together."""
    # Optuna's times are of this machine's zone, and say none.
    now = datetime.now(UTC).astimezone().replace(tzinfo=None)
    return sum(
        ((trial.datetime_complete or now) - trial.datetime_start).total_seconds()
        for trial in trials
        if trial.datetime_start is not None
    )


def mend(study: optuna.Study, settings: StudySettings) -> None:
    """Queue again what nobody runs any more; the study's lock has to be held.

    Whoever takes a trial signs it before it lets the lock go. So one that runs unsigned lost its
    worker in between, before there was any sign of life to miss.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if WORKER not in trial.user_attrs:
            study.tell(trial.number, state=TrialState.FAIL)
    optuna.storages.fail_stale_trials(study)
    again = RetryHeartbeatStaleTrialCallback()
    trials = study.get_trials(deepcopy=True)
    halted = {trial.number for trial in trials if HALTED in trial.user_attrs}
    for trial in counted(trials):
        died = {*attempts(trial), trial.number} - halted
        lost = trial.state == TrialState.FAIL and ERROR not in trial.user_attrs
        if lost and len(died) <= settings.retries:
            # The next attempt is signed by whoever takes it.
            trial.user_attrs = {}
            # Nor has it passed the rungs of successive halving that the lost one had.
            trial.system_attrs = {
                name: value
                for name, value in trial.system_attrs.items()
                if not name.startswith("completed_rung_")
            }
            again(study, trial)


def sign(storage: RDBStorage, trial: optuna.Trial, worker: str) -> None:
    """Say who runs a trial, with a first sign of life."""
    storage.record_heartbeat(trial._trial_id)  # noqa: SLF001 - Optuna's own thread may come later
    trial.set_user_attr(WORKER, worker)
