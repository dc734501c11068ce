"""What is taken out of the servers' image is needed by none of them.

`make test-extras` runs these: they install the locks into environments of their own.
"""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import uv

from images.prune import prune
from tests.integration.serving.conftest import TEXTS, question, running

pytestmark = [pytest.mark.extras, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def environment(lock, folder):
    """Python where the lock is installed, without what the image is without."""
    python = folder / "bin" / "python"
    for call in (
        ["venv", "--quiet", "--python", sys.executable, folder],
        ["pip", "sync", "--quiet", "--require-hashes", "--python", python,
         ROOT / "requirements" / f"{lock}.txt"],
    ):  # fmt: skip
        subprocess.run([uv.find_uv_bin(), *map(str, call)], check=True)
    [site] = folder.glob("lib/python3.*/site-packages")
    assert prune(site, (ROOT / "images" / "unused" / f"{lock}.txt").read_text(encoding="utf-8"))
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    with environment("serve", tmp_path_factory.mktemp("image") / "venv") as python:
        yield python


@pytest.fixture(scope="module")
def pruned(python, bundle, tmp_path_factory):
    log = tmp_path_factory.mktemp("predictor") / "stderr.txt"
    with running("serving.predictor", log, "--bundle", str(bundle), python=python) as server:
        yield server
    assert log.read_text() == ""


def test_the_predictor_gives_the_same_verdicts(pruned, server):
    whole, here = (one.infer(question(TEXTS), timeout=60).json() for one in (server, pruned))
    assert here["outputs"] == whole["outputs"]
    assert pruned.probe("/metrics") == 200


def test_the_predictor_answers_by_grpc(pruned):
    import grpc

    from serving.predictor.sdk import pb, pb_grpc

    with grpc.insecure_channel(pruned.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ModelReady(pb.ModelReadyRequest(name="rampart")).ready


def test_the_predictor_answers_v1_and_bad_requests(pruned):
    import httpx

    address = f"{pruned.url}/v1/models/rampart:predict"
    assert httpx.post(address, json={"instances": ["Lunch?"]}, timeout=60).status_code == 200
    assert httpx.post(address, json={"instances": [7]}, timeout=60).status_code == 400


def test_the_transformer_sends_mails_on(python, pruned, tmp_path):
    import httpx

    log = tmp_path / "stderr.txt"
    arguments = ("--predictor_host", pruned.grpc)
    with running("serving.transformer", log, *arguments, python=python) as transformer:
        address = f"{transformer.url}/v1/models/rampart:predict"
        mail = "Subject: Win a free prize\n\nClick here."
        answer = httpx.post(address, json={"instances": [mail]}, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"]
    assert log.read_text() == ""


def test_the_aggregator_starts(python, tmp_path):
    log = tmp_path / "stderr.txt"
    with running("serving.aggregator", log, python=python) as aggregator:
        assert aggregator.probe() == 200
    assert log.read_text() == ""


@pytest.mark.parametrize("method", ["shap", "lime", "occlusion"])
def test_the_explainer_explains(explainer, method):
    import httpx

    address = f"{explainer.url}/v1/models/rampart:explain"
    body = {"instances": ["Win a free prize today"], "parameters": {"explain": method}}
    answer = httpx.post(address, json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.json()["parameters"]["method"] == method


@pytest.fixture(scope="module")
def explainer(pruned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explainer")
    arguments = ("--predictor_host", pruned.grpc)
    log = folder / "stderr.txt"
    with (
        environment("explain", folder / "venv") as python,
        running("serving.explainer", log, *arguments, python=python) as server,
    ):
        yield server
    assert log.read_text() == ""
