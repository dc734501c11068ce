"""Other servers that answer from an exported bundle, each from its own lock and environment."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import httpx
import numpy as np

from benchmarks.serving import processes
from tests.integration.serving.conftest import question
from tests.project.places import ROOT

TEXTS = ["Win a free prize today\n\nClick here", "Lunch at noon, if the rain stops"]


def environment(lock, home):
    """Its Python, where everything in the lock is installed, and Rampart as it is here."""
    python = processes.environment(lock, home, sys.executable)
    [packages] = (home / "lib").glob("python*/site-packages")
    (packages / "rampart.pth").write_text(f"{ROOT}\n")
    return python


@contextmanager
def running(python, command, folder, url, **variables):
    """The server, once its model answers; ended with all that it started."""
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    told = os.environ | {"PATH": path} | variables
    log = folder / "log.txt"
    with log.open("w") as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=told, stdout=said, stderr=said, cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            for _ in range(360):
                assert process.poll() is None, log.read_text()
                try:
                    if httpx.post(f"{url}/v2/models/rampart/infer", json=asked()).is_success:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.5)
            else:
                raise AssertionError(log.read_text())
            yield url
        finally:
            # Its own session, so whatever is in it was started here.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(20)


def asked(**fields):
    return question(TEXTS, **fields)


def columns(reply):
    assert reply.status_code == 200, reply.text
    return {one["name"]: np.array(one["data"]) for one in reply.json()["outputs"]}


def assert_the_same_answers(url, server):
    """Whatever is asked for, the numbers are the predictor's."""
    for parameters in ({}, {"top_k": 3, "models": "ngram"}, {"explain": "none"}):
        document = asked(parameters=parameters)
        expected = columns(server.infer(document))
        found = columns(httpx.post(f"{url}/v2/models/rampart/infer", json=document))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found[name], values, atol=1e-4)
            else:
                assert found[name].tolist() == values.tolist()
    url = f"{url}/v2/models/rampart/infer"
    only = columns(httpx.post(url, json=asked(outputs=[{"name": "label"}])))
    assert {name: values.tolist() for name, values in only.items()} == {"label": ["spam", "ham"]}
    wrong = httpx.post(url, json=asked(parameters={"threshold": 2}))
    assert wrong.status_code == 400
    assert "threshold" in wrong.text
