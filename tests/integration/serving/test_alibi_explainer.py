"""Alibi's explainer, installed from its own lock, over a real predictor, by KServe's own client."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
import uv

from tests.project.places import LOCKS, ROOT

pytestmark = [pytest.mark.extras, pytest.mark.timeout(900)]

SPAM = "Win a free prize today. Click here to claim your money. See you at lunch on Thursday."


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that holds what the lock pins and nothing else."""
    folder = tmp_path_factory.mktemp("alibi") / "venv"
    tool = uv.find_uv_bin()
    own = folder / "bin" / "python"
    for arguments in (
        ["venv", "--python", sys.executable, folder],
        ["pip", "sync", "--require-hashes", "--python", own, LOCKS / "alibi.txt"],
        ["pip", "check", "--python", own],
    ):
        subprocess.run([tool, "--quiet", *arguments], check=True)
    return own


@pytest.fixture(scope="module")
def explainer(python, server, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("alibi-explainer") / "log.txt"
    predictor = server.url.removeprefix("http://")
    command = [python, "-m", "serving.alibi_explainer", "--host", "127.0.0.1"]
    command += ["--http_port", str(port), "--predictor_host", predictor]
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("w") as written,
        subprocess.Popen(
            command, cwd=ROOT, stdout=written, stderr=written,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process,
    ):  # fmt: skip
        try:
            _wait(url, process, log)
            yield url
        finally:
            process.kill()


def _wait(url, process, log) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/v1/models/rampart").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text())


def _explain(url, texts, **parameters):
    return httpx.post(
        f"{url}/v1/models/rampart:explain",
        json={"instances": texts, "parameters": parameters},
        timeout=120,
    )


def _one(reply):
    assert reply.status_code == 200, reply.text
    [found] = reply.json()["explanations"]
    return found


def test_kserves_client_gets_anchors_that_lie_in_the_text(explainer, server, ask, kserve) -> None:
    async def ask_it():
        client = kserve.InferenceRESTClient(
            kserve.RESTConfig(protocol="v1", timeout=120, retries=0)
        )
        try:
            return await client.explain(
                explainer,
                "rampart",
                {"instances": [SPAM], "parameters": {"precision": 0.99, "seed": 1}},
            )
        finally:
            await client.close()

    [found] = asyncio.run(ask_it())["explanations"]
    usual = server.infer(ask([SPAM])).json()["outputs"]
    assert found["label"] == next(one for one in usual if one["name"] == "label")["data"][0]
    assert found["complete"]
    assert 0 < found["evaluations"] <= 2000
    words = [SPAM[one["start"] : one["end"]] for one in found["spans"]]
    assert all(word and word == word.strip() for word in words)
    gained = found["base"] + sum(one["value"] for one in found["spans"])
    assert gained == pytest.approx(found["precision"], abs=1e-9)


def test_a_seed_gives_the_same_anchors(explainer) -> None:
    found = [_one(_explain(explainer, [SPAM], precision=0.99, seed=7)) for _ in range(2)]
    for one in found:
        one.pop("seconds")
    assert found[0] == found[1]


def test_a_budget_that_is_too_small_says_so(explainer) -> None:
    found = _one(_explain(explainer, [SPAM], evaluations=5))
    assert found["spans"] == []
    assert found["complete"] is False
    assert found["evaluations"] <= 6


def test_a_text_without_words_has_no_anchor_and_is_done(explainer) -> None:
    found = _one(_explain(explainer, [" \n"]))
    assert found["spans"] == []
    assert found["complete"] is True


@pytest.mark.parametrize(
    ("texts", "parameters", "said"),
    [
        (["a"] * 5, {}, "1 to 4"),
        ([], {}, "1 to 4"),
        ([3], {}, "list of texts"),
        (["a"], {"evaluation": 3}, "no parameter"),
        (["a"], {"words": True}, "no number"),
        (["a"], {"seconds": 1e9}, "at the most"),
        (["a"], {"seed": -1}, "seed"),
    ],
)
def test_a_mistake_is_a_400_that_says_what_is_wrong(explainer, texts, parameters, said) -> None:
    reply = _explain(explainer, texts, **parameters)
    assert reply.status_code == 400
    assert said in reply.text
