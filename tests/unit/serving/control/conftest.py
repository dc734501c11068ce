"""The application in this process, over real folders and databases."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rampart.registry.connection import connect, default_tracking_uri
from serving.control.app import control_app
from serving.control.desk import Desk
from serving.control.settings import ControlSettings

with warnings.catch_warnings():
    # Starlette would rather have another client.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

TOKEN = "0123456789abcdef-token"
Calls = Callable[..., TestClient]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables; making them takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    connect(default_tracking_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def root(empty_store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def desk(root: Path) -> Desk:
    return Desk(ControlSettings(root=root, token=TOKEN))


@pytest.fixture
def client(root: Path) -> Iterator[Calls]:
    """Makes a client of an application; it sends the token if it is told so."""
    with ExitStack() as stack:

        def make(token: str | None = TOKEN, *, sent: bool = True, **settings: Any) -> TestClient:
            desk = Desk(ControlSettings(root=root, token=token, **settings))
            headers = {"Authorization": f"Bearer {token}"} if token and sent else {}
            made = TestClient(
                control_app(desk, token),
                base_url="http://127.0.0.1:8100",
                headers=headers,
                raise_server_exceptions=False,
            )
            return stack.enter_context(made)

        yield make
