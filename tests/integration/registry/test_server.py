"""The registry on a real MLflow server."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from rampart.bundle.store import read_manifest, seal, verify
from rampart.errors import RegistryError, UnknownModelError
from rampart.registry.registry import Registry

SECONDS_TO_START = 200


@dataclass(frozen=True)
class Decided:
    promote: bool
    reason: str = "Measured."
    comparisons: tuple = ()

    @property
    def alias(self):
        return "champion" if self.promote else "challenger"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(url, process, log):
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of an MLflow server of its own; its files and children go with it."""
    folder = tmp_path_factory.mktemp("mlflow server")
    port, log = free_port(), folder / "log.txt"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_up(url, process, log)
        yield url
    finally:
        # The server is a family of processes: the group that was made for it ends as one.
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


@pytest.fixture
def another(bundle, tmp_path):
    folder = tmp_path / "another"
    shutil.copytree(bundle, folder)
    (folder / "card.md").write_text("# Another\n", encoding="utf-8")
    seal(folder, read_manifest(bundle))
    return folder


@pytest.mark.slow
def test_a_server_keeps_versions_aliases_and_bundles(server, bundle, another, tmp_path, capfd):
    registry = Registry(server)
    assert registry.champion() is None
    assert registry.versions() == []
    report = tmp_path / "ünïcode report"
    report.write_text("<html>", encoding="utf-8")

    first = registry.register(
        bundle,
        decision=Decided(promote=True),
        parameters={f"parameter {number}": number for number in range(150)},
        metrics={"f1": 0.97},
        artifacts={"report.html": report},
    )
    assert (first.version, first.alias) == (1, "champion")
    assert registry.register(bundle, decision=Decided(promote=True)) == first

    second = registry.register(another, decision=Decided(promote=False, reason="No better."))
    assert (second.version, second.alias) == (2, "challenger")
    assert registry.champion().metrics == {"f1": 0.97}

    registry.promote("challenger", "By hand.")
    newest, oldest = registry.versions()
    assert (newest.aliases, newest.replaces) == (("champion",), 1)
    assert oldest.aliases == ("previous",)
    assert newest.source.startswith("mlflow-artifacts:/")

    fetched = registry.fetch("champion", tmp_path / "fetched")
    assert verify(fetched) == read_manifest(another)
    assert registry.roll_back("Too many false alarms.").version == 1
    with pytest.raises(UnknownModelError, match="Ask for one of 1, 2, champion"):
        registry.version("previous")
    with pytest.raises(RegistryError, match="no previous champion"):
        registry.roll_back("Further.")

    client = registry._client
    run = client.get_run(first.run_id)
    assert len(run.data.params) == 150
    assert run.data.tags["bundle_id"] == read_manifest(bundle).id
    assert {item.path for item in client.list_artifacts(first.run_id)} == {"bundle", "report.html"}
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
