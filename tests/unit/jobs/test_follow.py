"""Following a job where its pods cannot be read, where it never ends, and where it is another's.

tests/node follows real ones. No node can be lost there, and no follower killed between two calls: a
stand-in for the API server does both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.follow import follow
from jobs.job import MARK, TrainingJob
from rampart.errors import JobError, RolloutError
from rollout.cluster import ConflictError

JOB = TrainingJob(name="one", deadline_seconds=1)


@dataclass
class Server:
    """A namespace with at most one job, whose one pod lies on a node that is lost."""

    there: dict[str, Any] | None = None
    ends_after: int = 10**9
    interrupted: bool = False
    looks: int = field(default=0, init=False)

    def with_patience(self, _: float) -> Server:
        return self

    def create(self, _: object, document: dict[str, Any]) -> None:
        if self.there is not None:
            raise ConflictError("there already")
        self.there = document
        if self.interrupted:
            raise SystemExit(143)

    def get(self, *_: object) -> dict[str, Any] | None:
        self.looks += 1
        if self.there is None or self.looks < self.ends_after:
            return self.there
        return self.there | {"status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}

    def all(self, *_: object) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "one-worker-0", "uid": "u"}, "status": {}}]

    def log(self, *_: object, **__: object) -> str:
        raise RolloutError("The API server refused: 500, the node does not answer.")

    def delete(self, *_: object) -> None:
        self.there = None


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.follow._POLL_SECONDS", 0.01)
    monkeypatch.setattr("jobs.follow._GRACE_SECONDS", 0.0)


def test_lines_that_cannot_be_read_end_no_job() -> None:
    told: list[str] = []
    server = Server(ends_after=5)
    follow(server, JOB, told.append)  # type: ignore[arg-type]
    [said] = [line for line in told if "cannot be read" in line]
    assert "worker-0" in said
    assert server.there is None


def test_a_job_that_does_not_end_in_time_has_failed_and_goes() -> None:
    server = Server()
    with pytest.raises(JobError, match="has not ended within 1 s"):
        follow(server, JOB, lambda _: None)  # type: ignore[arg-type]
    assert server.there is None


def test_a_follower_that_is_stopped_while_it_makes_the_job_takes_it_along() -> None:
    server = Server(interrupted=True)
    with pytest.raises(SystemExit):
        follow(server, JOB, lambda _: None)  # type: ignore[arg-type]
    assert server.there is None


def test_a_job_of_the_same_name_that_is_anothers_is_left_alone() -> None:
    other = {"metadata": {"annotations": {MARK: "x"}}}
    server = Server(there=other)
    with pytest.raises(JobError, match="There is another PyTorchJob one"):
        follow(server, JOB, lambda _: None)  # type: ignore[arg-type]
    assert server.there == other
