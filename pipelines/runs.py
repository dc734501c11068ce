"""Runs in Kubeflow Pipelines: found, described, ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.connection import connected
from rampart.errors import PipelineError, UnknownModelError

_PAGE = 100


@dataclass(frozen=True)
class TaskState:
    """A state that a task came to.

    Attributes:
        task: its name.
        state: as Kubeflow Pipelines calls it, in lower case.
        when: it came to it.
    """

    task: str
    state: str
    when: datetime


@dataclass(frozen=True)
class RemoteRun:
    """A run as Kubeflow Pipelines describes it.

    Attributes:
        id: in Kubeflow Pipelines.
        name: that it was given.
        state: pending, running, succeeded, failed, canceling, canceled, skipped or paused.
        created: when it was taken.
        ended: when it ended, if it has.
        arguments: the pipeline's.
        error: why it failed, if it says so.
        tasks: what its tasks went through, in the order of time.
    """

    id: str
    name: str
    state: str
    created: datetime
    ended: datetime | None
    arguments: dict[str, Any]
    error: str
    tasks: tuple[TaskState, ...]


class RemoteRuns:
    """The runs of one Kubeflow Pipelines.

    Args:
        endpoint: its address.
        namespace: of the runs, where Kubeflow has profiles.
        token: gives the bearer token; asked for each call, since those that Kubernetes mounts are
            valid for an hour.
    """

    def __init__(
        self, endpoint: str, namespace: str | None, token: Callable[[], str | None] = lambda: None
    ) -> None:
        self.endpoint = endpoint
        self.namespace = namespace
        self.token = token
        self._opened: tuple[str | None, Any] | None = None

    def named(self, part: str) -> list[RemoteRun]:
        """Runs whose name has a part, the newest first.

        Raises:
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        wanted = {"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": part}
        found: list[RemoteRun] = []
        token = ""
        with self._answers():
            while True:
                page = self._client.list_runs(
                    page_token=token,
                    page_size=_PAGE,
                    sort_by="created_at desc",
                    namespace=self.namespace,
                    filter=json.dumps({"predicates": [wanted]}),
                )
                found += [_described(run) for run in page.runs or ()]
                token = page.next_page_token or ""
                if not token:
                    return found

    def get(self, run_id: str) -> RemoteRun:
        """A run by its id.

        Raises:
            UnknownModelError: there is none.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        with self._answers(run_id):
            return _described(self._client.get_run(run_id))

    def terminate(self, run_id: str) -> None:
        """End a run; its steps are told to stop.

        Raises:
            UnknownModelError: there is none.
            PipelineError: Kubeflow Pipelines does not answer, or refuses.
        """
        with self._answers(run_id):
            self._client.terminate_run(run_id)

    @property
    def _client(self) -> Any:
        token = self.token()
        if self._opened is not None and self._opened[0] == token:
            return self._opened[1]
        client = connected(self.endpoint, self.namespace, token)
        self._opened = token, client
        return client

    @contextmanager
    def _answers(self, run_id: str = "") -> Iterator[None]:
        from kfp_server_api.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            if run_id and error.status == 404:
                raise UnknownModelError(
                    f"There is no run {run_id!r} in Kubeflow Pipelines.", "List those there are."
                ) from error
            raise PipelineError(
                f"Kubeflow Pipelines at {self.endpoint} refused: {error.status} {error.reason}.",
                "Look at the token and the namespace.",
            ) from error
        except (HTTPError, OSError, ValueError) as error:
            raise PipelineError(
                f"Kubeflow Pipelines at {self.endpoint} does not answer: {error}.",
                "Check the address.",
            ) from error


def _described(run: Any) -> RemoteRun:
    details = run.run_details.task_details if run.run_details else None
    states = [
        TaskState(task.display_name or task.task_id, str(state.state).lower(), state.update_time)
        for task in details or ()
        for state in task.state_history or ()
    ]
    config = run.runtime_config
    ended = run.finished_at
    return RemoteRun(
        id=run.run_id,
        name=run.display_name or "",
        state=str(run.state or "pending").lower(),
        created=run.created_at,
        # Of a run that goes on it is the epoch.
        ended=ended if ended is not None and ended.year > 1970 else None,
        arguments=dict(config.parameters or {}) if config else {},
        error=(run.error.message or "") if run.error else "",
        tasks=tuple(sorted(states, key=lambda state: state.when)),
    )
