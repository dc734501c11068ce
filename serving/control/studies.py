"""Studies: begun, worked at, shown trial by trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from rampart.errors import InputError
from rampart.tuning.champion import with_champion
from rampart.tuning.settings import StudySettings, Value
from rampart.tuning.spaces import as_pipeline_parameters
from rampart.tuning.studies import StudySummary, find, open_study, settings_of, summary
from rampart.tuning.trials import counted
from serving.control.refusal import ConflictError
from serving.control.runs.base import Run

_WORK = ("table", "column", "workers", "champion")


class StudyOrder(StudySettings):
    """A study: what it is asked, over which messages, by how many workers."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "name": "trees",
                    "target": "tabular",
                    "trials": 40,
                    "table": "/data/split.parquet",
                    "workers": 2,
                }
            ]
        },
    )

    table: str = Field(
        min_length=1,
        max_length=1_000,
        pattern=r"^[^\x00]*$",
        description="File of split messages on the server; the test part is never read.",
    )
    column: str = Field(
        default="split", pattern=r"^\w{1,64}$", description="Its column with the split."
    )
    champion: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="Version in the registry, by number or alias, whose parameters are tried "
        "after the defaults; none if empty.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Processes that run trials.")

    def settings(self) -> StudySettings:
        """What the study itself is asked."""
        return StudySettings(**self.model_dump(exclude=set(_WORK)))


class StudyStarted(BaseModel):
    """A study, and the run whose workers are at it."""

    study: StudySummary = Field(description="How it stands.")
    run: Run = Field(description="The run of its workers.")


class TrialShown(BaseModel):
    """One trial, however often it had to be tried."""

    number: int = Field(description="Of its last attempt.")
    state: str = Field(description="running, waiting, complete, pruned or fail.")
    values: dict[str, float] | None = Field(description="By objective, once it is complete.")
    parameters: dict[str, Value] = Field(description="Of the training pipeline.")
    steps: dict[int, float] = Field(description="What it reported on its way, by step.")
    started: datetime | None
    ended: datetime | None

    @classmethod
    def of(cls, trial: Any, objectives: tuple[str, ...]) -> Self:
        """Optuna's trial as it is shown."""
        values = trial.values
        return cls(
            number=trial.number,
            state=trial.state.name.lower(),
            values=dict(zip(objectives, values, strict=True)) if values else None,
            parameters=as_pipeline_parameters(trial.params),
            steps=trial.intermediate_values,
            started=_in_utc(trial.datetime_start),
            ended=_in_utc(trial.datetime_complete),
        )


def begin(
    storage: str, order: StudyOrder, read: Callable[[str], Mapping[str, str]]
) -> StudySummary:
    """Open the study of an order, or go on with the one of its name and settings.

    Args:
        storage: where it lies, or will.
        order: what is asked.
        read: gives how a version was trained, by the training pipeline's names.

    Raises:
        ConflictError: the study of that name was asked something else.
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no study that it shall start from.
    """
    asked = order.settings()
    if order.champion:
        asked = with_champion(storage, asked, lambda: read(order.champion))
    try:
        standing = summary(storage, asked.name)
    except InputError:
        # There is none, or one whose opening was broken off.
        standing = None
    if standing is not None and (differing := standing.settings.differences(asked)):
        raise ConflictError(
            f"There is a study {asked.name!r} already; {', '.join(differing)} differ.",
            "Send its own settings to go on with it, or another name.",
        )
    open_study(storage, asked)
    return summary(storage, asked.name)


def work(
    arguments: Mapping[str, Any],
    storage: str,
    *,
    cache: Path,
    tracking_uri: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Run a study's workers to its end; returns how it stands then.

    Args:
        arguments: name, table, column and workers.
        storage: where the study lies.
        cache: folder where what trials share is kept.
        tracking_uri: of MLflow; empty for nowhere.
        tell: is told how it goes.

    Raises:
        RampartError: it cannot be worked at, or workers die again and again.
    """
    from rampart.tuning.workers import run_workers

    said = ""

    def look(study: StudySummary) -> None:
        nonlocal said
        states = ", ".join(f"{count} {state}" for state, count in sorted(study.trials.items()))
        if states != said:
            said = states
            tell(f"Trials: {states or 'none yet'}.")

    ended = run_workers(
        storage,
        arguments["name"],
        Path(arguments["table"]),
        workers=arguments["workers"],
        cache=cache,
        column=arguments["column"],
        tracking_uri=tracking_uri,
        tell=look,
    )
    return ended.model_dump(mode="json", include={"name", "state", "trials", "best"})


def trials(storage: str, name: str) -> list[TrialShown]:
    """A study's trials in their order.

    Raises:
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
    """
    _, study = find(storage, name)
    objectives = settings_of(study).objectives
    return [TrialShown.of(trial, objectives) for trial in counted(study.get_trials(deepcopy=False))]


def _in_utc(when: datetime | None) -> datetime | None:
    # Optuna's times are of this machine's zone, and say none.
    return when.astimezone(UTC) if when is not None else None
