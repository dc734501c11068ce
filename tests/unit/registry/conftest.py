"""Real registries on sqlite files, and bundles that differ."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from rampart.bundle.store import read_manifest, seal
from rampart.registry.registry import Registry

# An address must bear whatever a folder may be called.
FOLDER = "registre d'été 50% #1 \N{SNOWMAN}"


@dataclass(frozen=True)
class Decided:
    promote: bool
    reason: str = "It is better."
    comparisons: object = ()

    @property
    def alias(self):
        return "champion" if self.promote else "challenger"


PROMOTED = Decided(promote=True)
REFUSED = Decided(promote=False, reason="It is no better.")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An sqlite file with MLflow's tables; making them takes seconds."""
    from rampart.registry.connection import connect, default_tracking_uri

    folder = tmp_path_factory.mktemp("store")
    connect(default_tracking_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def tracking_uri(empty_store, tmp_path):
    from rampart.registry.connection import default_tracking_uri

    folder = tmp_path / FOLDER
    folder.mkdir()
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return default_tracking_uri(folder)


@pytest.fixture
def registry(tracking_uri):
    return Registry(tracking_uri)


@pytest.fixture
def promoted():
    return PROMOTED


@pytest.fixture
def refused():
    return REFUSED


@pytest.fixture
def decided():
    return Decided


@pytest.fixture
def another(bundle, tmp_path):
    """Makes a bundle with other contents, and so another id."""

    def make(mark):
        folder = tmp_path / f"bundle {mark}"
        shutil.copytree(bundle, folder)
        (folder / "card.md").write_text(f"# {mark}\n", encoding="utf-8")
        seal(folder, read_manifest(bundle))
        return folder

    return make


@pytest.fixture
def python(tmp_path):
    """Starts a script in a process of its own, away from what marks a test run, as a user's is."""
    marks = ("PYTEST", "MLFLOW", "CI", "GITHUB", "DO_NOT_TRACK", "XDG_CONFIG_HOME", "BUILDKITE")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(marks)
    } | {"HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    (tmp_path / "home").mkdir()
    processes = []

    def start(script, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
