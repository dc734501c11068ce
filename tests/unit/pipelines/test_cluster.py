"""What a pipeline has in a cluster beside its steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from kfp import dsl

from components.deploy.report import report
from pipelines.catalogue import NAMES, compile_pipeline, parameters, step_count
from pipelines.cluster import SECRET, STORE, STUDIES


@pytest.fixture(scope="module", params=NAMES)
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    spec, platform = yaml.safe_load_all(compile_pipeline(request.param, path).read_text())
    return request.param, spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_its_last_step_comes_whatever_happened_and_says_how_it_ended(compiled: Any) -> None:
    _, spec, _ = compiled
    [last] = [task for task in spec["root"]["dag"]["tasks"].values() if "triggerPolicy" in task]
    assert last["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert not last["cachingOptions"].get("enableCache")


def test_it_takes_what_the_pipeline_takes_and_where_alerts_go(compiled: Any) -> None:
    name, spec, _ = compiled
    own = {parameter.name: parameter for parameter in parameters(name)}
    given = spec["root"]["inputDefinitions"]["parameters"]
    assert set(given) == {*own, "alerts"}
    for key, about in given.items():
        assert about["description"]
        if key in own:
            assert about["description"] == own[key].description


def test_every_step_asks_for_room_and_all_but_a_rollout_are_tried_again(compiled: Any) -> None:
    name, spec, _ = compiled
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == step_count(name) + 1
    for said in executors.values():
        assert set(said["container"]["resources"]) == {
            "resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit",
        }  # fmt: skip
    labels = {key: part.get("executorLabel") for key, part in spec["components"].items()}
    dags = [spec["root"]["dag"], *(p["dag"] for p in spec["components"].values() if "dag" in p)]
    for task in (task for dag in dags for task in dag["tasks"].values()):
        label = labels[task["componentRef"]["name"]]
        if label is not None:
            assert ("retryPolicy" in task) == (label != "exec-deploy"), label


def test_only_what_speaks_to_a_store_or_a_database_is_told_its_credentials(compiled: Any) -> None:
    name, _, platform = compiled
    told = {
        "training": {"exec-ingest", "exec-gate", "exec-register"},
        "distributed": {"exec-ingest", "exec-gate", "exec-register"},
        "tuning": {"exec-ingest", "exec-open-study", "exec-tune", "exec-conclude"},
        "deployment": {"exec-publish", "exec-deploy"},
    }
    found = {label for label, said in platform.items() if "secretAsEnv" in said}
    assert found == told[name]
    for label in found:
        secrets = platform[label]["secretAsEnv"]
        assert all(secret["optional"] for secret in secrets)
        wanted = {
            "exec-ingest": [STORE],
            "exec-publish": [SECRET, STORE],
            "exec-tune": [SECRET, STUDIES],
            "exec-open-study": [SECRET, STUDIES],
            "exec-conclude": [STUDIES],
        }.get(label, [SECRET])
        assert [secret["secretName"] for secret in secrets] == wanted


def _status(state: str) -> dsl.PipelineTaskFinalStatus:
    return dsl.PipelineTaskFinalStatus(
        state=state,
        pipeline_job_resource_name="run-7",
        pipeline_task_name="whole",
        error_code=None,
        error_message="out of memory" if state == "FAILED" else None,
    )


@pytest.fixture
def alertmanager() -> Iterator[tuple[str, list[Any]]]:
    """Stands where Alertmanager would: it takes what its API takes."""
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", heard
        server.shutdown()
        thread.join()


def test_a_run_that_failed_raises_an_alert_and_one_that_did_not_raises_none(
    alertmanager: tuple[str, list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, heard = alertmanager
    report.python_func(status=_status("SUCCEEDED"), alerts=address)
    assert heard == []
    report.python_func(status=_status("FAILED"), alerts=address)
    [(path, [alert])] = heard
    assert path == "/api/v2/alerts"
    assert alert["labels"]["run"] == "run-7"
    assert "out of memory" in alert["annotations"]["description"]
    report.python_func(status=_status("FAILED"), alerts="")
    assert capsys.readouterr().out.count("run-7: FAILED. out of memory") == 2


def test_the_file_is_one_that_kubeflow_pipelines_reads(tmp_path: Path) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    path = compile_pipeline("training", tmp_path / "t.yaml", node_selector={"a": "b"})
    spec, platform = yaml.safe_load_all(path.read_text())
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
