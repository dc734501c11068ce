"""Runs in Kubeflow Pipelines: found again by what they are called, whoever asks.

Its real backend needs a cluster. In its place stands a real HTTP server on loopback with the calls
of the v2beta1 API that KFP's own client makes, which keeps the runs that it is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.runs import RemoteRuns
from rampart.errors import InputError, PipelineError, UnknownModelError
from serving.control.desk import Desk
from serving.control.refusal import ConflictError
from serving.control.runs.base import Order, run_id
from serving.control.runs.kfp import KfpRuns
from serving.control.settings import ControlSettings
from serving.control.studies import StudyOrder
from tests.unit.serving.control.conftest import TOKEN

_AT = "2026-11-27T10:00:0{}Z"


@dataclass
class Kfp:
    """The runs that there are, and how it is answered."""

    url: str = ""
    status: int = 200
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)

    def answer(self, verb: str, address: str, body: Any) -> Any:
        parts = urlsplit(address)
        path = parts.path.rstrip("/")
        if path.endswith("/healthz"):
            return {"multi_user": False}
        if "/experiments" in path:
            return {"experiment_id": "e1", "display_name": "rampart"}
        if path.endswith("/runs") and verb == "POST":
            number = f"run-{len(self.runs)}"
            made = {"run_id": number, "state": "PENDING", "created_at": _AT.format(len(self.runs))}
            self.runs[number] = body | made
            return self.runs[number]
        if path.endswith("/runs"):
            [wanted] = json.loads(parse_qs(parts.query)["filter"][0])["predicates"]
            assert wanted["operation"] == "IS_SUBSTRING"
            found = [
                run for run in self.runs.values() if wanted["stringValue"] in run["display_name"]
            ]
            return {"runs": found[::-1], "next_page_token": ""}
        number, _, action = path.rpartition("/")[2].partition(":")
        if number not in self.runs:
            return None
        if action == "terminate":
            self.runs[number]["state"] = "CANCELING"
            return {}
        return self.runs[number]


@pytest.fixture
def kfp() -> Iterator[Kfp]:
    state = Kfp()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            state.tokens.append(self.headers.get("authorization", ""))
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            said = state.answer(self.command, self.path, body)
            status = state.status if said is not None else 404
            content = json.dumps(said if status == 200 else {"message": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            # Whoever asked may not have waited.
            with suppress(BrokenPipeError):
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


@pytest.fixture
def runs(kfp: Kfp) -> KfpRuns:
    return KfpRuns(RemoteRuns(kfp.url, "team", lambda: "secret"), "rampart-pipeline")


def order(digest: str = "d" * 64) -> Order:
    digest = digest.replace("d", "a")
    return Order(
        id=run_id("ann", "pipeline", "k"),
        kind="pipeline",
        name="training",
        arguments={"seed": 3, "uri": "s3://user:password@store/mails"},
        caller="ann",
        digest=digest,
        created=datetime.now(UTC),
    )


def task(name: str, **states: int) -> dict[str, Any]:
    """A task as Kubeflow Pipelines describes it: the states it came to, and in which second."""
    history = [{"state": state, "update_time": _AT.format(at)} for state, at in states.items()]
    return {"task_id": name, "display_name": name, "state_history": history}


def test_an_order_makes_one_run_whoever_asks_again(kfp: Kfp, runs: KfpRuns) -> None:
    assert runs.known(order()) is None
    first = runs.start(order())
    assert (first.kind, first.name, first.state) == ("pipeline", "training", "pending")
    # As after a restart: another that knows nothing.
    later = KfpRuns(RemoteRuns(kfp.url, "team", lambda: "secret"))
    assert later.start(order()).id == first.id
    assert len(kfp.runs) == 1
    assert kfp.runs[first.id]["service_account"] == "rampart-pipeline"
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        later.start(order("b" * 64))
    assert len(kfp.runs) == 1


def test_passwords_in_arguments_are_not_shown(runs: KfpRuns) -> None:
    assert runs.start(order()).arguments == {"seed": 3, "uri": "s3://store/mails"}


def test_others_runs_are_not_ours(kfp: Kfp, runs: KfpRuns) -> None:
    run = runs.start(order())
    kfp.runs["theirs"] = {**kfp.runs[run.id], "run_id": "theirs", "display_name": "theirs"}
    assert [found.id for found in runs.listed()] == [run.id]
    for call in (runs.get, runs.stop):
        with pytest.raises(UnknownModelError, match="was not started here"):
            call("theirs")
        with pytest.raises(UnknownModelError, match="There is no run 'none'"):
            call("none")
    assert kfp.runs["theirs"]["state"] == "PENDING"


def test_a_run_is_stopped_once(kfp: Kfp, runs: KfpRuns) -> None:
    run = runs.start(order())
    assert runs.stop(run.id).state == "stopping"
    kfp.runs[run.id]["state"] = "CANCELED"
    assert runs.stop(run.id).state == "stopped"
    assert kfp.runs[run.id]["state"] == "CANCELED"


def test_steps_are_told_in_the_order_of_time(kfp: Kfp, runs: KfpRuns) -> None:
    run = runs.start(order())
    kfp.runs[run.id] |= {
        "state": "FAILED",
        "error": {"message": "The step clean failed."},
        "finished_at": _AT.format(9),
        "run_details": {
            "task_details": [
                task("clean", RUNNING=3, FAILED=5),
                task("ingest", RUNNING=1, SUCCEEDED=2),
            ]
        },
    }
    shown = runs.get(run.id)
    assert shown.state == "failed"
    assert shown.problem == "The step clean failed."
    assert {step.name: step.state for step in shown.steps} == {"ingest": "done", "clean": "failed"}
    whole = runs.happenings(run.id, "")
    told = [(each.data["name"], each.data["state"]) for each in whole]
    assert told == [
        ("ingest", "started"),
        ("ingest", "done"),
        ("clean", "started"),
        ("clean", "failed"),
    ]
    assert runs.happenings(run.id, whole[1].id) == whole[2:]
    with pytest.raises(InputError, match="is no place"):
        runs.happenings(run.id, "x")


def test_a_token_that_is_renewed_is_sent_anew(kfp: Kfp) -> None:
    tokens = iter(["first", "second", "second"])
    runs = KfpRuns(RemoteRuns(kfp.url, "team", lambda: next(tokens)))
    for _ in range(3):
        runs.listed()
    assert list(dict.fromkeys(kfp.tokens)) == ["Bearer first", "Bearer second"]


def test_a_server_that_takes_calls_and_never_answers_is_not_waited_for(
    kfp: Kfp, runs: KfpRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.connection.READ", 0.2)
    runs.listed()
    asked, silent = [], Event()
    kfp.answer = lambda *_: asked.append(1) or silent.wait(60)  # type: ignore[method-assign]
    for each in (runs, KfpRuns(RemoteRuns(kfp.url, None))):
        with pytest.raises(PipelineError, match="does not answer"):
            each.listed()
    silent.set()
    # Once each, also by a client that was made for it.
    assert len(asked) == 2


def test_a_study_that_is_stopped_before_its_pipeline_opens_it_stays_stopped(
    kfp: Kfp, root: Path
) -> None:
    desk = Desk(
        ControlSettings(root=root, token=TOKEN, kfp_endpoint=kfp.url, addresses="s3://mails")
    )
    asked = {"target": "ngram", "trials": 3, "table": "s3://mails/a.csv"}
    for name, state, after in (("early", "RUNNING", "CANCELING"), ("late", "SUCCEEDED", "RUNNING")):
        run = desk.start_study(StudyOrder.model_validate({"name": name, **asked}), "ann", None).run
        kfp.runs[run.id] |= {
            "state": "RUNNING",
            "run_details": {"task_details": [task("open-study", **{state: 1})]},
        }
        assert desk.stop_study(name).state == "idle"
        assert kfp.runs[run.id]["state"] == after


def test_what_fails_there_is_told(kfp: Kfp, runs: KfpRuns) -> None:
    runs.listed()
    kfp.status = 403
    with pytest.raises(PipelineError, match="refused: 403"):
        runs.listed()
    nobody = KfpRuns(RemoteRuns("http://127.0.0.1:9", None))
    with pytest.raises(PipelineError, match="does not answer"):
        nobody.listed()
