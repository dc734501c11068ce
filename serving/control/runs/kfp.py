"""Runs in Kubeflow Pipelines, which alone knows of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.runs import RemoteRun, RemoteRuns
from pipelines.submission import submit
from rampart.errors import UnknownModelError
from rampart.registry.connection import shown
from serving.control.refusal import ConflictError
from serving.control.runs.base import ENDED, Happening, Order, Run, State, Step, no_place

_MARK = "rampart-control"
_NAME = re.compile(rf"^{_MARK}\.(pipeline|study)\.(.+)\.[0-9a-f]{{16}}\.r[0-9a-f]{{24}}$")
_STATES: Mapping[str, State] = {
    "runtime_state_unspecified": "pending",
    "pending": "pending",
    "running": "running",
    "paused": "running",
    "canceling": "stopping",
    "canceled": "stopped",
    "succeeded": "succeeded",
    "skipped": "succeeded",
    "failed": "failed",
}
_TASKS = {"succeeded": "done", "skipped": "cached", "cached": "cached", "failed": "failed"}
_MOST = 500


class KfpRuns:
    """Runs whose name in Kubeflow Pipelines says what they are and which order made them.

    Kubeflow Pipelines has no keys of its own, so looking for an order's run and making it are two
    calls: one caller at a time may start runs, which is why the API runs as one replica.

    Args:
        runs: of Kubeflow Pipelines.
        service_account: that steps run as.
    """

    patience = 3.0

    def __init__(self, runs: RemoteRuns, service_account: str | None = None) -> None:
        self._runs = runs
        self._account = service_account

    def known(self, order: Order) -> Run | None:
        """The run that the same order started before, if one did.

        Raises:
            ConflictError: the id belongs to another order.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        same = [run for run in self._runs.named(order.id) if run.name.endswith(order.id)]
        if not same:
            return None
        if same[-1].name != _name(order):
            raise ConflictError(
                f"The Idempotency-Key was used for another request, which started {same[-1].id}.",
                "Send the same request with it, or another key.",
            )
        return _run(same[-1])

    def start(self, order: Order) -> Run:
        """Start a run, or find the one that the same order started before.

        Raises:
            ConflictError: the id belongs to another order.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        if known := self.known(order):
            return known
        made = submit(
            order.name if order.kind == "pipeline" else "tuning",
            order.arguments,
            endpoint=self._runs.endpoint,
            namespace=self._runs.namespace,
            token=self._runs.token(),
            service_account=self._account,
            run_name=_name(order),
        )
        return self.get(made)

    def listed(self) -> list[Run]:
        """Runs that this API has started, the newest first.

        Raises:
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        return [_run(run) for run in self._runs.named(f"{_MARK}.") if _NAME.match(run.name)]

    def going(self) -> list[Run]:
        """The runs that have not ended.

        Raises:
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        return [run for run in self.listed() if run.state not in ENDED]

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            UnknownModelError: there is none, or something else started it.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        return _run(self._find(run_id))

    def stop(self, run_id: str) -> Run:
        """End a run; one that has ended stays as it is.

        Raises:
            UnknownModelError: there is none, or something else started it.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        run = self.get(run_id)
        if run.state in (*ENDED, "stopping"):
            return run
        self._runs.terminate(run_id)
        return self.get(run_id)

    def happenings(self, run_id: str, after: str) -> list[Happening]:
        """The states that tasks came to after so many; logs stay with Kubeflow Pipelines.

        Raises:
            UnknownModelError: there is none, or something else started it.
            InputError: there is no such place in the history.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        if after and not re.fullmatch(r"[0-9]{1,9}", after):
            raise no_place(after)
        seen = int(after or 0)
        tasks = self._find(run_id).tasks[seen : seen + _MOST]
        return [
            Happening(
                id=str(number),
                kind="step",
                data={"name": task.task, "state": _TASKS.get(task.state, "started")},
            )
            for number, task in enumerate(tasks, start=seen + 1)
        ]

    def _find(self, run_id: str) -> RemoteRun:
        run = self._runs.get(run_id)
        if not _NAME.match(run.name):
            raise UnknownModelError(
                f"The run {run_id!r} was not started here.", "GET /v1/runs lists those that were."
            )
        return run


def _name(order: Order) -> str:
    """What the run is called: all that has to be known of its order, since nothing else is kept."""
    return f"{_MARK}.{order.kind}.{order.name}.{order.digest[:16]}.{order.id}"


def _run(run: RemoteRun) -> Run:
    found = _NAME.match(run.name)
    kind, name = (found[1], found[2]) if found else ("pipeline", run.name)
    steps = {task.task: _TASKS.get(task.state, "started") for task in run.tasks}
    state = _STATES.get(run.state, "running")
    return Run.model_validate(
        {
            "id": run.id,
            "kind": kind,
            "name": name,
            "arguments": {
                key: shown(value) if isinstance(value, str) else value
                for key, value in run.arguments.items()
            },
            "caller": "",
            "state": state,
            "created": run.created,
            "ended": run.ended,
            "problem": (run.error or "A step failed.") if state == "failed" else None,
            "remedy": "Its steps' logs are in Kubeflow Pipelines." if state == "failed" else None,
            "steps": [Step(name=step, state=known) for step, known in steps.items()],
        }
    )
