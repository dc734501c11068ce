"""How a study stands, as it is told to whoever asks."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rampart.tuning.settings import Objective, StudySettings, Target, Value

State = Literal["running", "stopping", "ended", "idle"]


class BestTrial(BaseModel):
    """A trial that no other beats in everything.

    Attributes:
        number: of its last attempt.
        values: by objective.
        parameters: of the training pipeline.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    values: dict[Objective, float]
    parameters: dict[str, Value]


class StudySummary(BaseModel):
    """How a study stands.

    Attributes:
        name: of the study.
        target: what is tuned.
        settings: what was asked.
        state: `running` while a worker is at a trial; `stopping` while one is that was asked to
            stop; `ended` when the budget is spent; else `idle`, and more work would take it on.
        trials: how many, by state in lower case; attempts at one trial are one.
        retried: attempts whose worker died or was stopped, and which were made again.
        seconds: that all trials have taken, summed over workers.
        best: the best trial, or with two objectives those of the Pareto front, best recall first.
        errors: of trials that failed by themselves, each once.
        started: when it was opened first.
        updated: when a trial began or ended last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    target: Target
    settings: StudySettings
    state: State
    trials: dict[str, int]
    retried: int
    seconds: float
    best: tuple[BestTrial, ...]
    errors: tuple[str, ...]
    started: datetime
    updated: datetime

    @property
    def ended(self) -> int:
        """Trials that are over, whichever way."""
        return sum(self.trials.get(state, 0) for state in ("complete", "pruned", "fail"))

    @property
    def progress(self) -> tuple[int, int]:
        """How much of the budget is spent, and all of it: trials, or else seconds."""
        if self.settings.trials is not None:
            return self.ended, self.settings.trials
        whole = self.settings.seconds or 1.0
        return int(min(self.seconds, whole)), max(1, int(whole))
