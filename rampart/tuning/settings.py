"""What a study is asked: over which model, for what, how, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rampart.errors import InputError
from rampart.features.pretrained import PACKAGED_BASE

Target = Literal["ngram", "tabular", "encoder", "ensemble", "cascade"]
Objective = Literal["recall", "cost"]
Direction = Literal["minimize", "maximize"]
Value = str | int | float
Parameters = Mapping[str, Value]
"""Parameters of the training pipeline, by their names there."""

DIRECTIONS: dict[Objective, Direction] = {"recall": "maximize", "cost": "minimize"}
WEIGHED: tuple[Target, ...] = ("ensemble", "cascade")
"""Targets that fit the models once and weigh what they said."""
EXTENDED = ("trials", "seconds", "retries")
"""What may change when a study goes on. Not the signs of life: who gives them more rarely than the
others wait for them would be taken for dead."""

STUDY_NAME = r"^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
"""Names that can stand in an address: no dots alone."""


class StudySettings(BaseModel):
    """What a study is asked.

    Attributes:
        name: of the study, one for each storage.
        target: what is tuned.
        objectives: recall at 1 % false positives, which rises, and cost, which falls: milliseconds
            of processor time a message, measured on a sample, the least of several runs.
        sampler: `tpe` learns from former trials, `random` does not.
        pruner: what ends trials that fall behind: `asha`, `hyperband` or `none`; None stands for
            `asha`, and for `none` where there are two objectives, which Optuna cannot prune.
        trials: that are run by all workers together, those that were pruned or failed included.
        seconds: of computing, summed over all workers; a trial that has begun is finished.
        seed: of the splits and of every draw.
        folds: campaign splits of the training and validation parts that a figure is the mean of.
        sample: messages that the encoder trains on; 0 for all.
        base: that the encoder starts from.
        epochs: of the encoder at the most.
        rounds: of boosting at the most.
        models: that the ensemble or the cascade asks, cheapest first.
        parameters: the champion's; tried after the defaults, and those of the models of an
            ensemble or a cascade.
        warm_start_from: studies of the same target in the same storage, whose best are tried.
        heartbeat: seconds between two signs of life of a worker; after three without, its trial
            is another's.
        retries: of a trial whose worker died.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=STUDY_NAME)
    target: Target
    objectives: tuple[Objective, ...] = Field(default=("recall",), min_length=1, max_length=2)
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["asha", "hyperband", "none"] | None = None
    trials: int | None = Field(default=None, ge=1, le=100_000)
    seconds: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**31)
    folds: int = Field(default=3, ge=1, le=20)
    sample: int = Field(default=0, ge=0)
    base: str = PACKAGED_BASE
    epochs: int = Field(default=4, ge=1, le=100)
    rounds: int = Field(default=800, ge=1, le=100_000)
    models: tuple[Literal["ngram", "tabular", "encoder"], ...] = ("ngram", "tabular")
    parameters: dict[str, Value] = Field(default_factory=dict)
    warm_start_from: tuple[str, ...] = ()
    heartbeat: int = Field(default=10, ge=1, le=3_600)
    retries: int = Field(default=3, ge=0, le=100)

    @field_validator("objectives")
    @classmethod
    def _recall_comes_first(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        return tuple(sorted(objectives, key=list(DIRECTIONS).index))

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.trials is None and self.seconds is None:
            raise ValueError("trials or seconds has to say when the study ends")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("an objective is named twice")
        if len(self.objectives) > 1 and self.pruner not in (None, "none"):
            raise ValueError("trials of two objectives cannot be pruned; leave the pruner out")
        if self.target in WEIGHED and len(set(self.models)) < max(2, len(self.models)):
            raise ValueError("an ensemble and a cascade take two or three different models")
        if self.sample == 1:
            raise ValueError("sample is 1, and the encoder needs messages of both classes")
        return self

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The same with our own error.

        Raises:
            InputError: a setting cannot be used; it says which, and why.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            named = f"{where} cannot be {first['input']!r}: " if where else ""
            raise InputError(
                f"The study's settings cannot be used: {named}{message}.", "Correct them."
            ) from None

    @property
    def pruned_by(self) -> Literal["asha", "hyperband", "none"]:
        """The pruner, where it was left open too."""
        if self.pruner is not None:
            return self.pruner
        return "asha" if len(self.objectives) == 1 else "none"

    @property
    def directions(self) -> list[Direction]:
        """Of each objective, as Optuna says it."""
        return [DIRECTIONS[name] for name in self.objectives]

    def differences(self, other: StudySettings) -> list[str]:
        """Names of settings that differ, but for those that a study may go on with."""
        ours, theirs = self.model_dump(mode="json"), other.model_dump(mode="json")
        return [key for key in ours if key not in EXTENDED and ours[key] != theirs[key]]


def value_of(text: str) -> Value:
    """A parameter's value from its text: a number where it reads as one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
