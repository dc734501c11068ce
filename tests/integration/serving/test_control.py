"""The control API as a process: whatever of it is killed, nothing is lost or counted twice."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rampart.errors import RampartError
from rampart.registry.connection import default_tracking_uri
from rampart.registry.defaults import promote
from rampart.registry.registry import Registry
from serving.control.__main__ import main
from serving.control.ensembles import Asked, compose
from tests.conftest import campaigns
from tests.integration.serving.control_api import (
    TOKEN,
    Api,
    alive,
    children,
    serving,
    split_file,
    until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split_file(tmp_path_factory.mktemp("table") / "split.parquet")


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mails") / "mails.jsonl"
    rows = [{"text": text, "label": label} for text, label in campaigns(120)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def store(bundle: Path, other_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder whose registry has two versions."""
    root = tmp_path_factory.mktemp("store")
    registry = Registry(default_tracking_uri(root))
    for made in (bundle, other_bundle):
        registry.register(made, decision=Asked("A test's."))
    return root


@pytest.fixture(scope="module")
def api(store: Path) -> Iterator[Api]:
    """An API that no test kills, on the folder with the versions."""
    with serving(store) as running:
        yield running


def composition(table: Path, **more: object) -> dict[str, object]:
    return {"members": {"ngram": "2", "encoder": "1"}, "table": str(table), **more}


def study(table: Path, **more: object) -> dict[str, object]:
    asked = {"name": "words", "target": "ngram", "trials": 3, "folds": 1, "heartbeat": 1}
    return {**asked, "table": str(table), **more}


def test_an_ensemble_sent_at_once_by_many_is_made_measured_and_registered_once(
    api: Api, table: Path
) -> None:
    body = composition(
        table, rule="weighted", weights={"ngram": 3, "encoder": 1}, register_candidate=True
    )
    with ThreadPoolExecutor(8) as pool:
        runs = set(pool.map(lambda _: api.started("/v1/ensembles", body, key="one"), range(8)))
    [run] = runs
    refused = api.post("/v1/ensembles", body | {"rule": "soft", "weights": None}, key="one")
    assert refused.status_code == 409
    assert "Idempotency-Key" in refused.json()["detail"]

    path = f"/v1/runs/{run}/events"
    whole = api.follow(path)
    assert whole[-1][1] == "end"
    ended = whole[-1][2]
    assert ended["state"] == "succeeded", ended
    assert [step["state"] for step in ended["steps"]] == ["done"] * 4
    assert len({event[0] for event in whole[:-1]}) == len(whole) - 1
    for place in (0, 2, len(whole) - 2):
        assert api.follow(path, whole[place][0]) == whole[place + 1 :]
    for wrong in ("5", "999999", "abc"):
        answer = api.client.get(path, headers={"Last-Event-ID": wrong})
        assert answer.status_code == 400
        assert "is no place" in answer.json()["detail"]

    outputs = ended["outputs"]
    assert outputs["members"] == {"ngram": 2, "encoder": 1}
    assert set(outputs["weights"]) == {"ngram", "encoder"}
    assert 0.5 < outputs["metrics"]["f1"] <= 1
    versions = api.client.get("/v1/ensembles/versions").json()
    assert versions["total"] == 3
    assert versions["items"][0]["number"] == outputs["version"] == 3
    assert "challenger" in versions["items"][0]["aliases"]
    # A run that was killed after it had registered makes no second version when it is sent again.
    # Its table is found by an address as well as by a path.
    asked = ended["arguments"] | {"table": table.as_uri()}
    again = compose(asked, default_tracking_uri(api.root), api.root / "again", lambda *_: None)
    assert (again["version"], again["bundle_id"]) == (3, outputs["bundle_id"])


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"members": {"ngram": "9"}}, 404, "has no version 9"),
        ({"members": {"ngram": "nobody"}}, 404, "called 'nobody'"),
        ({"members": {"other": "1"}}, 422, "members.other"),
        ({"weights": {"ngram": 1}}, 422, "weights go with the rule weighted"),
        ({"table": "/nowhere/split.parquet"}, 400, "There is no table '/nowhere/split.parquet'"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_an_ensemble_that_cannot_be_made_is_refused(
    api: Api, table: Path, change: dict[str, object], status: int, said: str
) -> None:
    answer = api.post("/v1/ensembles", composition(table) | change)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": {"tabular": "1"}}, "no model of the kind tabular"),
        ({"column": "nothing"}, "has no column 'nothing'"),
        ({"table": "file:///nowhere/split.parquet"}, "cannot be read: no such file"),
        ({"table": Path(__file__).parent.as_uri()}, "is a folder without"),
    ],
)
def test_an_ensemble_says_what_its_parts_lack(
    store: Path, table: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    asked = composition(table) | change | {"model_name": "rampart"}
    with pytest.raises(RampartError, match=said):
        compose(asked, default_tracking_uri(store), tmp_path / "bundle", lambda *_: None)


def test_a_killed_training_run_says_so_and_another_goes_on_from_what_was_done(
    api: Api, mails: Path
) -> None:
    promote(default_tracking_uri(api.root), {"ngram_words": 2}, source="study words")
    body = {
        "pipeline": "training",
        "arguments": {"uri": str(mails), "time_split": False},
        "defaults": "promoted",
    }
    first = api.started("/v1/runs", body, key="first")
    until(lambda: api.run(first)["steps"])
    waiting = api.started("/v1/runs", body)
    assert api.run(first)["arguments"]["ngram_words"] == 2
    ingested = {"name": "ingest", "state": "done", "done": 0, "total": 0}
    until(lambda: ingested in api.run(first)["steps"])
    process = api.process_of(first)
    started = children(process)
    assert started
    # One that waits is stopped before it begins, and no other with it.
    until(lambda: api.process_of(waiting))
    assert api.run(waiting)["state"] == "pending"
    assert api.post(f"/v1/runs/{waiting}/stop").status_code == 202
    assert api.ended(waiting)["state"] == "stopped"
    assert api.run(first)["state"] == "running"

    os.kill(process, signal.SIGKILL)
    killed = api.ended(first)
    assert killed["state"] == "failed"
    assert "killed" in killed["problem"]
    assert "Start it again" in killed["remedy"]
    until(lambda: not any(map(alive, started)))
    # Sent again with the key it is the run that failed; with another it goes on.
    assert api.started("/v1/runs", body, key="first") == first
    second = api.started("/v1/runs", body, key="second")
    until(lambda: len(api.run(second)["steps"]) > 1)
    assert api.run(second)["steps"][0] == ingested | {"state": "cached"}
    # Stopped, nothing of it is left running.
    started = [api.process_of(second), *children(api.process_of(second))]
    assert api.post(f"/v1/runs/{second}/stop").status_code == 202
    assert api.ended(second)["state"] == "stopped"
    until(lambda: not any(map(alive, started)))
    assert api.post(f"/v1/runs/{second}/stop").json()["state"] == "stopped"


def test_a_killed_api_loses_nothing_and_a_killed_study_counts_nothing_twice(
    table: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    address = f"sqlite:///{root}/studies.db"
    asked = study(table, trials=10_000)
    variables = {"RAMPART_CONTROL_STORAGE": address, "RAMPART_CONTROL_MAX_RUNS": "1"}
    with serving(root, leave_nothing=False, **variables) as first:
        run = first.started("/v1/studies", asked, key="a")
        process = first.process_of(run)
        refused = first.post("/v1/runs", {"pipeline": "deployment"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        until(lambda: first.client.get("/v1/studies/words").json()["trials"].get("complete", 0))
        # Addresses may hold passwords, and the API's token is nobody's but its own.
        kept = (root / "runs" / run / "order.json").read_text()
        assert address not in first.client.get(f"/v1/runs/{run}").text + kept
        assert TOKEN.encode() not in Path(f"/proc/{process}/environ").read_bytes()
        first.kill()
        assert TOKEN not in (root / "api.log").read_text()
    assert alive(process)
    with serving(root) as second:
        assert second.started("/v1/studies", asked, key="a") == run
        assert second.run(run)["state"] == "running"
        assert second.post("/v1/studies", asked, key="b").status_code == 409
        # The next API stops what the first one started.
        assert second.post(f"/v1/runs/{run}/stop").status_code == 202
        assert second.ended(run)["state"] == "stopped"
        assert second.client.get("/v1/studies/words").json()["state"] == "idle"
        going = second.started("/v1/studies", asked, key="b")
        until(lambda: second.client.get("/v1/studies/words").json()["state"] == "running")
        started = children(process := second.process_of(going))
        os.kill(process, signal.SIGKILL)
        assert second.ended(going)["state"] == "failed"
        until(lambda: not any(map(alive, started)))
        # What was at work when it was killed is tried again, and counted once.
        whole = second.client.get("/v1/studies/words/trials").json()["total"] + 1
        last = second.started("/v1/studies", study(table, trials=whole), key="c")
        events = second.follow("/v1/studies/words/events")
        assert events[-1][1] == "end"
        assert events[-1][2]["state"] == "ended"
        assert sum(events[-1][2]["trials"].values()) == whole
        seen = second.follow("/v1/studies/words/events", events[-1][0])
        assert [event[1] for event in seen] == ["end"]
        ended = second.ended(last)
        assert ended["state"] == "succeeded", ended
        assert sum(ended["outputs"]["trials"].values()) == whole
        assert second.client.get("/v1/studies/words/trials").json()["total"] == whole
        best = second.client.get("/v1/studies/words/best").json()
        assert best == second.client.get("/v1/studies/words").json()["best"][0]["parameters"]
        other = second.post("/v1/studies", study(table, seed=9))
        assert other.status_code == 409
        assert "seed" in other.json()["detail"]
        assert second.client.get("/v1/runs").json()["total"] == 3


def test_it_does_not_start_where_it_may_not_or_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--host", "0.0.0.0", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "without authentication" in said
    assert "RAMPART_CONTROL_TOKEN" in said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--port", port, "--root", str(tmp_path)]) == 3
    assert "cannot be listened on" in capsys.readouterr().err
