"""A pipeline is handed to Kubeflow Pipelines over its API.

Its real backend needs a cluster and cannot run here. In its place stands a real HTTP server on
loopback with the calls of the v2beta1 API that KFP's own client makes to start a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from pipelines.submission import submit
from rampart.errors import PipelineError

RUN = "0f6c2a52-6f8e-4c9b-9d4a-1d3b7f9b0e11"


@dataclass
class Api:
    """What was asked, and how it is answered."""

    url: str = ""
    status: int = 200
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def answer(self, path: str, body: Any) -> Any:
        if path.endswith("/healthz"):
            return {"multi_user": False}
        if path.endswith("/runs"):
            return body | {"run_id": RUN, "state": "PENDING"}
        if path.endswith("/recurringruns"):
            return body | {"recurring_run_id": RUN}
        if body is not None:
            return body | {"experiment_id": "e1"}
        return {}


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.partition("?")[0]
            state.asked.append((self.command, path, dict(self.headers), body))
            content = json.dumps(
                state.answer(path, body) if state.status == 200 else {"message": "no"}
            ).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _reply  # noqa: N815 - the server looks for these names

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def test_a_run_is_started_with_its_arguments_in_its_experiment(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"uri": "s3://mails/all.jsonl", "seed": 3}
    run = submit(
        "training", arguments, endpoint=api.url, namespace="team", experiment="mine", token="secret"
    )
    assert run == RUN
    [made] = [body for verb, path, _, body in api.asked if verb == "POST" and "experiments" in path]
    assert made["display_name"] == "mine"
    assert made["namespace"] == "team"
    [started] = [body for verb, path, _, body in api.asked if path.endswith("/runs")]
    assert started["experiment_id"] == "e1"
    assert started["runtime_config"]["parameters"] == arguments
    spec = started["pipeline_spec"]
    assert spec["pipeline_spec"]["pipelineInfo"]["name"] == "rampart-training"
    assert all(headers.get("authorization") == "Bearer secret" for _, _, headers, _ in api.asked)
    # The caller's standard output is the caller's.
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_told_with_its_status(api: Api, status: int) -> None:
    api.status = status
    with pytest.raises(PipelineError, match=rf"refused the run: {status}.*RAMPART_KFP_TOKEN"):
        submit("training", {}, endpoint=api.url, namespace="team")


def test_a_run_is_told_who_it_is_where_it_runs_and_what_it_may_reuse(api: Api) -> None:
    submit(
        "training",
        {"alerts": "http://alerts:9093"},
        endpoint=api.url,
        namespace="team",
        service_account="rampart-pipeline",
        caching=False,
        node_selector={"pool": "training"},
    )
    [started] = [body for _, path, _, body in api.asked if path.endswith("/runs")]
    assert started["service_account"] == "rampart-pipeline"
    whole = started["pipeline_spec"]
    executors = whole["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(whole["pipeline_spec"]["deploymentSpec"]["executors"])
    for said in executors.values():
        assert said["nodeSelector"]["labels"] == {"pool": "training"}
    tasks = [
        task
        for part in whole["pipeline_spec"]["components"].values()
        for task in part.get("dag", {}).get("tasks", {}).values()
    ]
    assert tasks
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks)


def test_a_run_that_comes_again_has_a_clock(api: Api) -> None:
    run = submit("training", {"seed": 3}, endpoint=api.url, namespace="team", cron="0 0 2 * * 0")
    assert run == RUN
    [made] = [body for _, path, _, body in api.asked if path.endswith("/recurringruns")]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * 0"
    assert made["max_concurrency"] == 1
    assert made["no_catchup"] is True
    assert made["runtime_config"]["parameters"] == {"seed": 3}
