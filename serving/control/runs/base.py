"""What every backend of runs can do, and what a run is to whoever asks."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from rampart.errors import InputError

Kind = Literal["pipeline", "study", "ensemble"]
State = Literal["pending", "running", "stopping", "succeeded", "failed", "stopped"]
ENDED: tuple[State, ...] = ("succeeded", "failed", "stopped")
RUN_ID = r"^[0-9a-z][0-9a-z-]{0,63}$"


class Order(BaseModel):
    """What is to be run, and who asked.

    Attributes:
        id: the run's, made of the caller's key where there is one: asked again, it is the same.
        kind: what it is.
        name: of the pipeline or the study; `ensemble` for an ensemble.
        arguments: the pipeline's own, or what the study or the ensemble was asked.
        caller: who asked.
        digest: of the whole request, which a second one with the same key must have.
        created: when it was asked first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=RUN_ID)
    kind: Kind
    name: str
    arguments: dict[str, Any]
    caller: str
    digest: str
    created: datetime


class Step(BaseModel):
    """How far a step is."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="The step's name in Kubeflow Pipelines.")
    state: str = Field(description="started, progress, cached, done or failed.")
    done: int = Field(default=0, description="How far it is, where it tells.")
    total: int = Field(default=0, description="The whole, in the same unit; 0 if unknown.")


class Run(BaseModel):
    """A run, and how it stands."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="Its id, in URLs too.")
    kind: Kind = Field(description="What runs.")
    name: str = Field(description="Of the pipeline or the study; ensemble for an ensemble.")
    arguments: dict[str, Any] = Field(description="What it was started with.")
    caller: str = Field(description="Who started it.")
    state: State = Field(description="Pending while another run has the folder or the cluster.")
    created: datetime = Field(description="When it was asked for.")
    ended: datetime | None = Field(default=None, description="When it ended.")
    outputs: dict[str, Any] | None = Field(
        default=None, description="What a run that succeeded left: values, and paths of artifacts."
    )
    problem: str | None = Field(default=None, description="Why it failed.")
    remedy: str | None = Field(default=None, description="What to do about it.")
    steps: list[Step] = Field(default_factory=list, description="Its steps, in their order.")

    def has_done(self, name: str) -> bool:
        """Whether a step of it is over, or was found in the cache."""
        return any(step.name == name and step.state in ("done", "cached") for step in self.steps)


class Happening(BaseModel):
    """Something that became known of a run.

    Attributes:
        id: place in the run's history; whoever has seen it asks for what comes after.
        kind: `step` or `log`.
        data: a step's name and state, or a line.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["step", "log"]
    data: dict[str, Any]


class Runs(Protocol):
    """Where runs run. All that it knows outlives the process that asks.

    Attributes:
        patience: seconds between two looks at a run that is followed.
    """

    patience: float

    def known(self, order: Order) -> Run | None:
        """The run that the same order started before, if one did.

        Raises:
            ConflictError: the id belongs to another order.
            PipelineError: the backend does not answer.
        """

    def start(self, order: Order) -> Run:
        """Start a run, or find the one that the same order started before.

        Raises:
            ConflictError: the id belongs to another order.
            PipelineError: it cannot be started.
        """

    def listed(self) -> list[Run]:
        """All runs, the newest first.

        Raises:
            PipelineError: the backend does not answer.
        """

    def going(self) -> list[Run]:
        """The runs that have not ended.

        Raises:
            PipelineError: the backend does not answer.
        """

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            UnknownModelError: there is none.
            PipelineError: the backend does not answer.
        """

    def stop(self, run_id: str) -> Run:
        """Ask a run to stop; one that has ended stays as it is.

        Raises:
            UnknownModelError: there is none.
            PipelineError: the backend does not answer.
        """

    def happenings(self, run_id: str, after: str) -> list[Happening]:
        """What became known after a place in the history, "" for all, some at a time.

        Raises:
            UnknownModelError: there is no such run.
            InputError: there is no such place.
            PipelineError: the backend does not answer.
        """


def digest(body: Mapping[str, Any]) -> str:
    """What two requests share exactly if they ask for the same."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


def run_id(caller: str, route: str, key: str | None) -> str:
    """The id of a run: made of the caller's key, so that no table of keys is needed."""
    if key is None:
        return f"r{uuid.uuid4().hex[:24]}"
    return "r" + hashlib.sha256("\0".join((caller, route, key)).encode()).hexdigest()[:24]


def no_place(after: str) -> InputError:
    """The error where a client says to have seen what a run's history does not have."""
    return InputError(
        f"Last-Event-ID {after[:40]!r} is no place in this run's history.",
        "Send the id of an event that you were sent, or none for all.",
    )
