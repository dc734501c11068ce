"""The way to MLflow: opened once, quiet, without telemetry, and with one kind of error."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rampart.errors import MissingExtraError, RegistryError

_SQLITE = "sqlite:///"
_DATABASE = "mlflow.db"
_SECONDS_FOR_OTHERS = 300
_LONGEST_MESSAGE = 300

# MLflow takes these from nowhere but the environment. Telemetry is never wanted: it would name
# this installation to a third party. The others only where the user did not set them: MLflow
# retries a dead server for four minutes, draws bars on stderr and prints addresses on stdout.
_NEVER = {"MLFLOW_DISABLE_TELEMETRY": "true"}
_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def default_tracking_uri(folder: Path) -> str:
    """Address of a registry in a folder of its own: mlflow.db, and artifacts/ beside it.

    Raises:
        RegistryError: the folder's name cannot be part of such an address.
    """
    path = (folder / _DATABASE).absolute().as_posix()
    if "?" in path:
        raise RegistryError(
            f"A registry cannot be kept in {str(folder)!r}: its address would end at the '?'.",
            "Name a folder without a question mark.",
        )
    return f"{_SQLITE}{path}"


def default_artifact_root(tracking_uri: str) -> str | None:
    """URI of the folder beside an sqlite file; None for a server, which knows its own."""
    database = sqlite_file(tracking_uri)
    return None if database is None else (database.parent / "artifacts").as_uri()


def sqlite_file(tracking_uri: str) -> Path | None:
    """The absolute path of the file that the address names; None if it is not sqlite's."""
    if not tracking_uri.startswith(_SQLITE):
        return None
    return Path(tracking_uri.removeprefix(_SQLITE)).absolute()


def connect(tracking_uri: str) -> Any:
    """An MlflowClient whose store is there and answers; nothing is set for the whole process.

    A missing sqlite file is made, by one process even if several ask at once. Importing MLflow
    takes seconds, so this is the place where it happens.

    Raises:
        RegistryError: the store cannot be opened.
        MissingExtraError: MLflow is not installed.
    """
    client_class = _import()
    with answers(tracking_uri), warnings.catch_warnings():
        # The store's modules are imported only now, and warn about what SQLAlchemy deprecates.
        warnings.simplefilter("ignore")
        database = sqlite_file(tracking_uri)
        if database is not None:
            _prepare(database, client_class)
        client = client_class(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        # Both stores are opened on their first call.
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        return client


@contextmanager
def answers(tracking_uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database, the network or a disk raises into a RegistryError.

    Raises:
        RegistryError: names the registry, without a password, and what went wrong.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        # requests' errors are OSErrors.
        raise RegistryError(
            f"The registry {shown(tracking_uri)} failed: {_said(error, tracking_uri)}.",
            _remedy(tracking_uri),
        ) from error


@contextmanager
def alone(tracking_uri: str) -> Iterator[None]:
    """Keep other processes from changing the same sqlite file meanwhile.

    A server has no such lock to offer: there, what is done inside must bear company.

    Raises:
        RegistryError: another process did not finish in time.
    """
    from filelock import FileLock, Timeout

    database = sqlite_file(tracking_uri)
    if database is None:
        yield
        return
    lock = FileLock(f"{database}.lock", timeout=_SECONDS_FOR_OTHERS)
    try:
        lock.acquire()
    except Timeout as error:
        raise RegistryError(
            f"Another process has kept {database} for {_SECONDS_FOR_OTHERS} s.",
            "End it, and try again.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_code(error: Exception, *codes: str) -> bool:
    """Whether an MlflowException carries one of MLflow's error codes."""
    return getattr(error, "error_code", None) in codes


def shown(uri: str) -> str:
    """A URI fit to be read: without a password."""
    return uri.replace(_credentials(uri), "", 1)


def _import() -> Any:
    os.environ.update(_NEVER)
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient
            from mlflow.telemetry import set_telemetry_client
    except ImportError as error:
        raise MissingExtraError(
            f"The registry needs MLflow, which is not installed: {error}.",
            "Install it by `pip install 'rampart[registry]'`.",
        ) from error
    # Somebody may have imported MLflow earlier, with telemetry on; this looks again.
    set_telemetry_client()
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        # What this one logs, with a traceback, it also raises.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient


def _prepare(database: Path, client_class: Any) -> None:
    """Make the sqlite file if it is missing, and see that it can be read."""
    database.parent.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        with alone(f"{_SQLITE}{database}"):
            if not database.exists():
                _create(database, client_class)
    # MLflow would try for 100 seconds to open what is no database.
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _create(database: Path, client_class: Any) -> None:
    """Write the schema beside the file's place and move it there.

    MLflow makes its tables in some forty steps; killed between two, it can neither go on nor
    start anew, and two processes at once break each other's.
    """
    with tempfile.TemporaryDirectory(prefix=f".{database.name}.", dir=database.parent) as folder:
        draft = Path(folder) / database.name
        address = f"{_SQLITE}{draft}"
        client_class(tracking_uri=address, registry_uri=address)
        draft.rename(database)


def _said(error: Exception, tracking_uri: str) -> str:
    """The first line of what an error says; it may quote the address."""
    said = str(getattr(error, "message", "") or error).strip() or type(error).__name__
    line = said.splitlines()[0].rstrip(".: ")
    if credentials := _credentials(tracking_uri):
        line = line.replace(credentials, "")
    return textwrap.shorten(line, _LONGEST_MESSAGE, placeholder=" ..")


def _credentials(uri: str) -> str:
    """User and password in a URI, with the @ behind them; empty where there are none."""
    before, at, _ = urlsplit(uri).netloc.rpartition("@")
    return before + at


def _remedy(tracking_uri: str) -> str:
    database = sqlite_file(tracking_uri)
    if database is not None:
        return f"See that {database} is an MLflow database and that its folder can be written to."
    return "See that the MLflow server runs at that address and lets you in, and try again."
