"""Studies: opened, listed, stopped, and what they found."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from rampart.errors import InputError, UnknownModelError
from rampart.tuning.sampling import SeededSampler, pruner
from rampart.tuning.settings import StudySettings, Value
from rampart.tuning.spaces import as_pipeline_parameters, resources, starts
from rampart.tuning.storage import alive, exists, locked, open_storage
from rampart.tuning.summary import BestTrial, State, StudySummary
from rampart.tuning.trials import ERROR, attempts, computed_seconds, counted, exhausted

__all__ = [
    "BestTrial",
    "StudySettings",
    "StudySummary",
    "best_parameters",
    "open_study",
    "settings_of",
    "stop",
    "summaries",
    "summary",
]

SETTINGS, STOP, STARTED = "settings", "stop", "started"


def open_study(storage: str, settings: StudySettings) -> optuna.Study:
    """Create a study, with what it starts from queued, or go on with one of the same settings.

    How long it runs may change, and that it was stopped is forgotten.

    Raises:
        InputError: a study of the name was asked something else, or one that it shall start from
            is of another target.
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no study that it shall start from.
    """
    opened = open_storage(storage, settings.heartbeat)
    with locked(opened, settings.name):
        known = settings.name in optuna.get_all_study_names(opened)
        if known and _half_opened(loaded(opened, settings.name)):
            optuna.delete_study(study_name=settings.name, storage=opened)
            known = False
        if known:
            study = loaded(opened, settings.name)
            _same(settings_of(study), settings)
        else:
            former = [former_best(opened, name, settings) for name in settings.warm_start_from]
            first = starts(settings, former)
            study = optuna.create_study(
                study_name=settings.name,
                storage=opened,
                directions=settings.directions,
            )
            study.set_user_attr(STARTED, datetime.now(UTC).isoformat())
            for start in first:
                study.enqueue_trial(dict(start))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(settings.objectives))
        study.set_user_attr(SETTINGS, settings.model_dump(mode="json"))
        study.set_user_attr(STOP, None)
    return equipped(study, settings)


def equipped(study: optuna.Study, settings: StudySettings) -> optuna.Study:
    """The study with its own sampler and pruner, which are not stored."""
    study.sampler = SeededSampler(settings.sampler, settings.seed)
    study.pruner = pruner(settings.pruned_by, *resources(settings))
    return study


def summaries(storage: str) -> list[StudySummary]:
    """How each study stands, the newest first.

    Raises:
        StorageError: the database of studies cannot be opened.
    """
    if not exists(storage):
        return []
    opened = open_storage(storage)
    names = optuna.get_all_study_names(opened)
    known = [loaded(opened, name) for name in names]
    found = [standing(opened, study) for study in known if SETTINGS in study.user_attrs]
    return sorted(found, key=lambda study: study.started, reverse=True)


def summary(storage: str, name: str) -> StudySummary:
    """How a study stands.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    opened, study = find(storage, name)
    return standing(opened, study)


def stop(storage: str, name: str) -> None:
    """Ask the workers to stop, which they do at the next step; what they were at is queued again.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    _, study = find(storage, name)
    if not study.user_attrs.get(STOP):
        study.set_user_attr(STOP, datetime.now(UTC).isoformat())


def best_parameters(storage: str, name: str) -> dict[str, Value]:
    """What the training pipeline should be given; with two objectives, of the best recall.

    Raises:
        InputError: no trial is complete.
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    _, study = find(storage, name)
    best = best_trials(study)
    if not best:
        raise InputError(
            f"No trial of the study {name!r} is complete.", "Let it run on: rampart tune run."
        )
    return best[0].parameters


def find(storage: str, name: str) -> tuple[RDBStorage, optuna.Study]:
    """A study and the storage that it lies in.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    if not exists(storage):
        raise UnknownModelError(
            f"There is no study {name!r}: nothing is at {storage}.", "Begin one: rampart tune run."
        )
    opened = open_storage(storage)
    study = loaded(opened, name)
    opened.heartbeat_interval = (heartbeat := settings_of(study).heartbeat)
    opened.grace_period = 3 * heartbeat
    return opened, study


def loaded(opened: RDBStorage, name: str) -> optuna.Study:
    """A study of an open storage.

    Raises:
        UnknownModelError: there is no such study.
    """
    try:
        return optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        known = ", ".join(sorted(optuna.get_all_study_names(opened))) or "none"
        raise UnknownModelError(
            f"There is no study {name!r}.", f"The storage holds: {known}."
        ) from None


def settings_of(study: optuna.Study) -> StudySettings:
    """What a study was asked.

    Raises:
        InputError: something else made it, or another version.
    """
    stored = study.user_attrs.get(SETTINGS)
    if stored is None:
        raise InputError(
            f"The study {study.study_name!r} was not made by Rampart.", "Choose another name."
        )
    return StudySettings.of(**stored)


def former_best(
    opened: RDBStorage, name: str, settings: StudySettings
) -> Sequence[dict[str, Value]]:
    """What an earlier study of the same target found best, as its own trials have it.

    Raises:
        InputError: it is of another target.
        UnknownModelError: there is no such study.
    """
    study = loaded(opened, name)
    target = settings_of(study).target
    if target != settings.target:
        raise InputError(
            f"The study {name!r} tunes the {target}, and this one the {settings.target}.",
            "Start from studies of the same target.",
        )
    # Equal ones say nothing more than the first of them.
    best = {tuple(trial.values): trial.params for trial in reversed(study.best_trials)}
    return list(reversed(best.values()))


def best_trials(study: optuna.Study) -> tuple[BestTrial, ...]:
    """Of the Pareto front, the best recall first, where it is asked for; one for one objective."""
    settings = settings_of(study)
    signs = [-1.0 if way == "maximize" else 1.0 for way in settings.directions]
    order = sorted(
        study.best_trials,
        key=lambda trial: (
            *(sign * value for sign, value in zip(signs, trial.values, strict=True)),
            trial.number,
        ),
    )
    # Equal ones say nothing more than the first of them.
    first = {tuple(trial.values): trial for trial in reversed(order)}
    order = sorted(first.values(), key=order.index)
    return tuple(
        BestTrial(
            number=trial.number,
            values=dict(zip(settings.objectives, trial.values, strict=True)),
            parameters=as_pipeline_parameters(trial.params),
        )
        for trial in order
    )


def standing(opened: RDBStorage, study: optuna.Study) -> StudySummary:
    """How a study of an open storage stands."""
    settings = settings_of(study)
    trials = study.get_trials(deepcopy=False)
    last = counted(trials)
    started = datetime.fromisoformat(study.user_attrs[STARTED])
    return StudySummary(
        name=study.study_name,
        target=settings.target,
        settings=settings,
        state=_state(opened, study, trials, settings),
        trials=dict(Counter(trial.state.name.lower() for trial in last)),
        retried=len({number for trial in trials for number in attempts(trial)}),
        seconds=computed_seconds(trials),
        best=best_trials(study),
        errors=tuple(
            dict.fromkeys(trial.user_attrs[ERROR] for trial in last if ERROR in trial.user_attrs)
        ),
        started=started,
        updated=max([started, *(when.astimezone(UTC) for when in _times(trials))]),
    )


def _half_opened(study: optuna.Study) -> bool:
    """Whether whoever opened it was killed before it was asked anything; no trial was run then."""
    begun = any(one.state != TrialState.WAITING for one in study.get_trials(deepcopy=False))
    return set(study.user_attrs) == {STARTED} and not begun


def _same(known: StudySettings, asked: StudySettings) -> None:
    if differing := known.differences(asked):
        theirs, ours = (one.model_dump(mode="json") for one in (known, asked))
        listed = "; ".join(f"{key} is {theirs[key]}, not {ours[key]}" for key in differing)
        raise InputError(
            f"There is a study {asked.name!r} already, with other settings: {listed}.",
            "Give the same ones to go on with it, or another name.",
        )


def _times(trials: Sequence[FrozenTrial]) -> list[datetime]:
    ends = [trial.datetime_complete or trial.datetime_start for trial in trials]
    return [end for end in ends if end is not None]


def _state(
    opened: RDBStorage,
    study: optuna.Study,
    trials: Sequence[FrozenTrial],
    settings: StudySettings,
) -> State:
    if alive(opened, study):
        return "stopping" if study.user_attrs.get(STOP) else "running"
    lost = any(trial.state == TrialState.RUNNING for trial in trials)
    return "ended" if exhausted(trials, settings) and not lost else "idle"
