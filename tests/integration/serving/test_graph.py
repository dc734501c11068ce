"""Behind the real router of KServe's InferenceGraph: an Ensemble's answers, made into one.

The router is built from KServe's own source by Go, at the version and checksums in router/go.sum
(`make test-graph`). It listens on a port that it lets nobody choose.
"""

import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.integration.serving.conftest import running

pytestmark = [pytest.mark.graph, pytest.mark.timeout(1800)]
PORT = 8080
SOURCE = Path(__file__).parent / "router"
TEXTS = ["Win a free prize today\n\nClick here <now> & claim", "Lunch at noon, if the rain stops"]


@pytest.fixture(scope="session")
def router(tmp_path_factory):
    """KServe's router as a program."""
    go = shutil.which("go")
    assert go, "Go is not installed: it builds KServe's router"
    program = tmp_path_factory.mktemp("router") / "router"
    build = [go, "build", "-mod=readonly", "-o", str(program)]
    subprocess.run([*build, "github.com/kserve/kserve/cmd/router"], cwd=SOURCE, check=True)
    return program


@contextmanager
def graph(router, nodes, log):
    """The router with a graph of those nodes; its address."""
    command = [str(router), "--graph-json", json.dumps({"nodes": nodes})]
    with (
        log.open("w") as said,
        subprocess.Popen(command, stdout=said, stderr=said) as process,
    ):
        try:
            deadline = time.monotonic() + 30
            while True:
                with socket.socket() as probe:
                    if not probe.connect_ex(("127.0.0.1", PORT)):
                        break
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def quick(launch, other_bundle):
    with launch("--bundle", str(other_bundle)) as process:
        yield process


@pytest.fixture
def aggregator(tmp_path):
    def launched(*arguments):
        return running("serving.aggregator", tmp_path / "aggregator.txt", *arguments)

    return launched


def nodes(aggregator, verb="v2/models/rampart/infer", **steps):
    """A graph that asks the steps at once and lets the aggregator make one answer of theirs."""
    return {
        "root": {
            "routerType": "Sequence",
            "steps": [
                {"name": "models", "nodeName": "models"},
                {"name": "one", "serviceUrl": f"{aggregator.url}/{verb}", "data": "$response"},
            ],
        },
        "models": {
            "routerType": "Ensemble",
            "steps": [{"name": name, "serviceUrl": url} for name, url in steps.items()],
        },
    }


def columns(reply):
    assert reply.status_code == 200, reply.text
    return {one["name"]: np.array(one["data"]) for one in reply.json()["outputs"]}


def test_one_answer_of_two_models_and_its_explanation(
    router, server, quick, aggregator, ask, tmp_path
):
    urls = {name: f"{one.url}/v2/models/rampart/infer" for name, one in
            {"whole": server, "quick": quick}.items()}  # fmt: skip
    each = {name: columns(httpx.post(url, json=ask(TEXTS))) for name, url in urls.items()}
    weights = ("--method", "weighted", "--weights", "whole=3,quick=1")
    with (
        aggregator(*weights) as one,
        graph(router, nodes(one, **urls), tmp_path / "router.txt") as url,
    ):
        reply = httpx.post(url, json=ask(TEXTS), timeout=60)
    found = columns(reply)
    expected = 0.75 * each["whole"]["logit"] + 0.25 * each["quick"]["logit"]
    np.testing.assert_allclose(found["logit"], expected, atol=1e-5)
    shape = (len(TEXTS), -1)
    total = found["bias"] + found["contribution"].reshape(shape).sum(axis=1)
    np.testing.assert_allclose(total, expected, atol=1e-4)
    assert reply.json()["parameters"]["models"] == "quick,whole"
    assert found["label"].tolist() == ["spam", "ham"]


def test_a_step_that_fails_is_done_without_or_refused_as_the_aggregator_was_told(
    router, server, quick, aggregator, ask, tmp_path
):
    urls = {
        "whole": f"{server.url}/v2/models/nobody/infer",
        "quick": f"{quick.url}/v2/models/rampart/infer",
    }
    alone = columns(quick.infer(ask(TEXTS)))
    with (
        aggregator("--method", "weighted", "--missing", "ignore") as one,
        graph(router, nodes(one, **urls), tmp_path / "router.txt") as url,
    ):
        reply = httpx.post(url, json=ask(TEXTS), timeout=60)
        np.testing.assert_allclose(columns(reply)["logit"], alone["logit"], atol=1e-5)
        assert reply.json()["parameters"]["missing"] == "whole"
    with (
        aggregator("--method", "weighted") as one,
        graph(router, nodes(one, **urls), tmp_path / "router.txt") as url,
    ):
        reply = httpx.post(url, json=ask(TEXTS), timeout=60)
        assert reply.status_code == 503
        assert "'whole' has failed" in reply.json()["error"]
        assert "nobody" in reply.json()["error"]


def test_v1_steps_and_a_v1_answer(router, server, quick, aggregator, tmp_path):
    urls = {name: f"{one.url}/v1/models/rampart:predict" for name, one in
            {"whole": server, "quick": quick}.items()}  # fmt: skip
    with (
        aggregator() as one,
        graph(router, nodes(one, "v1/models/rampart:predict", **urls), tmp_path / "r.txt") as url,
    ):
        predictions = httpx.post(url, json={"instances": TEXTS}, timeout=60).json()["predictions"]
    assert [one["label"] for one in predictions] == ["spam", "ham"]
    assert [one["stage"] for one in predictions] == ["voting", "voting"]
