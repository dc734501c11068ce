"""A bundle exported for TorchServe, served by the real TorchServe from its own lock.

One of `make test-extras`: it installs requirements/torchserve.txt into an environment of its own.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from benchmarks.serving.processes import free_ports
from serving.export import Export, export
from tests.integration.serving.peers import (
    TEXTS,
    asked,
    assert_the_same_answers,
    columns,
    environment,
    running,
)

pytestmark = [
    pytest.mark.extras,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("java") is None, reason="TorchServe's front end needs Java, and there is none"
    ),
]


def test_torchserve_gives_the_predictors_answers(bundle, trained_models, server, tmp_path):
    python = environment("torchserve", tmp_path / "environment")
    network = trained_models["encoder"].with_name("trained")
    store = export(Export(bundle, networks={"encoder": network}), tmp_path / "store", "torchserve")
    inference, management, metrics, *rpc = free_ports(5)
    settings = tmp_path / "config.properties"
    addresses = {"inference": inference, "management": management, "metrics": metrics}
    lines = [f"{name}_address=http://127.0.0.1:{port}" for name, port in addresses.items()]
    lines += [f"grpc_{name}_port={port}" for name, port in zip(addresses, rpc, strict=False)]
    settings.write_text("\n".join([*lines, (store / "config.properties").read_text()]))
    command = [python.with_name("torchserve"), "--start", "--foreground", "--ncs",
               "--disable-token-auth", "--model-store", store, "--ts-config", settings]  # fmt: skip
    (tmp_path / "tmp").mkdir()
    # It keeps the id of the one server that may run in the folder for temporary files.
    told = {name: str(tmp_path / "tmp") for name in ("TMPDIR", "TEMP")}
    told |= {"LOG_LOCATION": str(tmp_path), "METRICS_LOCATION": str(tmp_path)}
    with running(python, command, tmp_path, f"http://127.0.0.1:{inference}", **told) as url:
        assert_the_same_answers(url, server)

        first = httpx.post(f"{url}/v1/models/rampart:predict", json={"instances": TEXTS}).json()
        expected = columns(server.infer(asked()))
        assert [one["label"] for one in first["predictions"]] == expected["label"].tolist()

        # Gathered with a wrong one, the others are answered.
        bodies = [
            asked(),
            asked(parameters={"models": "none such"}),
            asked(outputs=[{"name": "?"}]),
        ]
        with ThreadPoolExecutor(9) as pool:
            replies = list(
                pool.map(
                    lambda body: httpx.post(f"{url}/v2/models/rampart/infer", json=body), bodies * 3
                )
            )
        assert [reply.status_code for reply in replies] == [200, 400, 400] * 3
        assert "none such" in replies[1].json()["error"]
