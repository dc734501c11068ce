"""A job from its creation to its end, with its pods' lines, and gone at the end.

Whoever follows may be killed and started again: the job goes on meanwhile and is found by its name,
and it is the same job or none (its mark says so). Whoever is told to stop takes it along.
"""

from __future__ import annotations

import time
from typing import Any

from jobs.job import MARK, Tell, TrainingJob
from rampart.errors import OUTCOMES, JobError, RolloutError
from rollout.cluster import Cluster, ConflictError, MissingError
from rollout.kinds import POD

_POLL_SECONDS = 1.0
_STUCK_SECONDS = 300.0
# An operator that holds the deadline itself says better why the job has failed.
_GRACE_SECONDS = 60.0
# What a pod prints is not worth more: its node may be lost, and then the job goes on elsewhere.
_LOG_SECONDS = 5.0
# A container that waits for one of these waits for a person.
_STUCK = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "Unschedulable",
    }
)
_HINT = "Read the lines above; what was trained so far is in its checkpoints."
_LAST_LINES = 5
_KEPT_LINES = 20


def follow(
    cluster: Cluster, job: TrainingJob, tell: Tell, *, stuck_seconds: float = _STUCK_SECONDS
) -> None:
    """Create a job, or find it, and return when it has succeeded; it is removed in every case.

    Its deadline is held here too: a TrainJob has none of its own.

    Args:
        cluster: namespace that it runs in.
        job: which.
        tell: is given what its pods print and what becomes of them, line by line.
        stuck_seconds: that a pod may wait for room or for its image.

    Raises:
        JobError: it failed, it waits for what does not come, or another job has its name.
        RolloutError: the API server refuses.
    """
    pods = Pods(cluster, job, tell)
    late = time.monotonic() + job.deadline_seconds + _GRACE_SECONDS
    try:
        _create(cluster, job, tell)
        while True:
            state, why = _state(cluster, job)
            pods.look()
            if state == "succeeded":
                return
            if state:
                raise JobError(f"The {job.kind} {job.name} {state}: {pods.reason(why)}.", _HINT)
            if time.monotonic() > late:
                raise JobError(
                    f"The {job.kind} {job.name} has not ended within {job.deadline_seconds} s.",
                    "Give it a later deadline; what was trained so far is in its checkpoints.",
                )
            pods.refuse_stuck(stuck_seconds)
            time.sleep(_POLL_SECONDS)
    finally:
        # Also where a signal ends this process, even as the job is made: its handler raises.
        if _mark(cluster, job) == job.mark:
            cluster.delete(job.resource, job.name)


def _mark(cluster: Cluster, job: TrainingJob) -> str | None:
    """What the job under this name is marked with; None where there is none."""
    there = cluster.get(job.resource, job.name) or {}
    mark: str | None = there.get("metadata", {}).get("annotations", {}).get(MARK)
    return mark


def _create(cluster: Cluster, job: TrainingJob, tell: Tell) -> None:
    try:
        cluster.create(job.resource, job.document())
    except ConflictError:
        if _mark(cluster, job) != job.mark:
            raise JobError(
                f"There is another {job.kind} {job.name}.",
                f"Delete it (`kubectl delete {job.kind.lower()} {job.name}`), or choose a name.",
            ) from None
        tell(f"{job.kind} {job.name} is there already, and is followed")
    except MissingError as error:
        operator = "Training Operator" if job.kind == "PyTorchJob" else "Kubeflow Trainer v2"
        raise JobError(f"The cluster knows no {job.kind}.", f"Install the {operator}.") from error
    else:
        tell(f"{job.kind} {job.name} of {job.processes} processes is created")


def _state(cluster: Cluster, job: TrainingJob) -> tuple[str, str]:
    """What became of it, empty while it runs, and why."""
    found = cluster.get(job.resource, job.name)
    if found is None:
        return "was deleted", "somebody else did"
    for condition in found.get("status", {}).get("conditions", ()):
        if condition.get("status") != "True":
            continue
        if condition["type"] in {"Succeeded", "Complete"}:
            return "succeeded", ""
        if condition["type"] == "Failed":
            return "failed", str(condition.get("message") or condition.get("reason", ""))
    return "", ""


class Pods:
    """A job's pods as they come and go: their lines, their ends, and what they wait for."""

    def __init__(self, cluster: Cluster, job: TrainingJob, tell: Tell) -> None:
        self.cluster = cluster
        self.job = job
        self.tell = tell
        self._since: dict[str, str] = {}
        self._ended: set[tuple[str, str, str]] = set()
        self._lines: list[str] = []
        self._ends: list[str] = []
        self._waiting: dict[str, tuple[str, float]] = {}
        self._logs = cluster.with_patience(_LOG_SECONDS)
        self._unread: set[str] = set()

    def look(self) -> None:
        """Tell what is new."""
        for pod in self.cluster.all(POD, self.job.selector):
            name = pod["metadata"]["name"]
            short = name.removeprefix(f"{self.job.name}-")
            if self._note_ends(pod, short):
                self._read(name, short, previous=True)
            self._read(name, short)
            waits = _waits(pod)
            if not waits:
                self._waiting.pop(short, None)
            elif self._waiting.get(short, ("", 0.0))[0] != waits:
                self._waiting[short] = (waits, time.monotonic())
                self.tell(f"{short} waits: {waits}")

    def refuse_stuck(self, seconds: float) -> None:
        """Raise where a pod has waited too long for what does not come by itself."""
        for short, (waits, since) in self._waiting.items():
            if time.monotonic() - since > seconds:
                raise JobError(
                    f"{short} of the {self.job.kind} {self.job.name} has waited for "
                    f"{seconds:.0f} s: {waits}.",
                    "Make room or let the nodes have the image, and run this again.",
                )

    def reason(self, said: str) -> str:
        """Why the job failed, as far as its pods tell."""
        ends = f"; {'; '.join(self._ends[-_LAST_LINES:])}" if self._ends else ""
        errors = [line for line in self._lines if "error: " in line] or self._lines
        lines = " | ".join(errors[-_LAST_LINES:])
        return f"{said.rstrip('.')}{ends}" + (f"; its last lines: {lines}" if lines else "")

    def _read(self, name: str, short: str, *, previous: bool = False) -> None:
        since = self._since.get(name, "")
        try:
            said = self._logs.log(name, since=since, previous=previous)
        except RolloutError as error:
            if name not in self._unread:
                self.tell(f"{short}: what it prints cannot be read: {error.problem}")
            self._unread.add(name)
            return
        self._unread.discard(name)
        for line in said.splitlines():
            stamp, _, text = line.partition(" ")
            # The server's seconds are whole: what was told already comes again.
            if stamp <= since:
                continue
            self._since[name] = stamp
            self._lines = [*self._lines, text][-_KEPT_LINES:]
            self.tell(f"{short}: {text}")

    def _note_ends(self, pod: Any, short: str) -> bool:
        """Tell of containers that failed; whether one has been started again."""
        again = False
        for status in pod.get("status", {}).get("containerStatuses", ()):
            for when in ("state", "lastState"):
                ended = status.get(when, {}).get("terminated")
                if not ended or not ended.get("exitCode"):
                    continue
                key = short, str(pod["metadata"].get("uid")), str(ended.get("finishedAt"))
                if key in self._ended:
                    continue
                self._ended.add(key)
                said = f"{short} {_end(ended)}"
                self._ends.append(said)
                self.tell(said)
                again |= when == "lastState"
        return again


def _end(ended: dict[str, Any]) -> str:
    code = int(ended["exitCode"])
    if ended.get("reason") == "OOMKilled":
        return "was killed for its memory; give its pods more, or train with less (--micro-batch)"
    if code > 128:
        return f"was killed by signal {code - 128}"
    kinds = {found.exit_code: kind.__name__ for kind, found in OUTCOMES.items()}
    return f"ended with exit code {code} ({kinds.get(code, ended.get('reason', 'Error'))})"


def _waits(pod: dict[str, Any]) -> str:
    """What a pod waits for that may never come; empty where nothing."""
    status = pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition.get("reason") in _STUCK and condition.get("status") == "False":
            return f"{condition['reason']}, {condition.get('message', '')}"
    for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = one.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _STUCK:
            return f"{waiting['reason']}, {waiting.get('message', '')}"
    return ""
