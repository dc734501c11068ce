"""A bundle exported for MLServer, served by the real MLServer from its own lock.

One of `make test-extras`: it installs requirements/mlserver.txt into an environment of its own.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from rampart.bundle.export import export
from tests.project.places import LOCKS, ROOT

pytestmark = [pytest.mark.extras, pytest.mark.timeout(900)]
TEXTS = ["Win a free prize today\n\nClick here", "Lunch at noon, if the rain stops"]


def _free_ports(count):
    import socket

    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def mlserver(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlserver")
    home = folder / "environment"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
    python = home / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes"]
    subprocess.run([*install, "--requirement", str(LOCKS / "mlserver.txt")], check=True)
    model = export(bundle, folder / "model", "mlserver")
    rest, rpc, metrics = map(str, _free_ports(3))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": rest,
        "MLSERVER_GRPC_PORT": rpc,
        "MLSERVER_METRICS_PORT": metrics,
        "MLSERVER_PARALLEL_WORKERS": "0",
    }
    log = folder / "log.txt"
    with (
        log.open("w") as said,
        subprocess.Popen(
            [str(python.with_name("mlserver")), "start", str(model)],
            env=environment, stdout=said, stderr=said, cwd=folder,
        ) as process,
    ):  # fmt: skip
        try:
            url = f"http://127.0.0.1:{rest}"
            for _ in range(240):
                assert process.poll() is None, log.read_text()
                try:
                    if httpx.get(f"{url}/v2/models/rampart/ready").is_success:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.5)
            yield url
        finally:
            process.terminate()


def columns(reply):
    assert reply.status_code == 200, reply.text
    return {one["name"]: np.array(one["data"]) for one in reply.json()["outputs"]}


def test_mlserver_gives_the_predictors_answers(mlserver, server, ask):
    for parameters in ({}, {"top_k": 3, "models": "ngram"}, {"explain": "none"}):
        document = ask(TEXTS, parameters=parameters)
        expected = columns(server.infer(document))
        found = columns(httpx.post(f"{mlserver}/v2/models/rampart/infer", json=document))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found[name], values, atol=1e-4)
            else:
                assert found[name].tolist() == values.tolist()


def test_outputs_are_chosen_and_mistakes_are_named(mlserver, ask):
    url = f"{mlserver}/v2/models/rampart/infer"
    only = columns(httpx.post(url, json=ask(TEXTS, outputs=[{"name": "label"}])))
    assert only["label"].tolist() == ["spam", "ham"]
    wrong = httpx.post(url, json=ask(TEXTS, parameters={"threshold": 2}))
    assert wrong.status_code == 400
    assert "threshold" in wrong.text
