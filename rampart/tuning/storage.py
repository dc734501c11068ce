"""Where studies lie: a database that several workers write to at once.

SQLite keeps a laptop's studies and PostgreSQL a cluster's. Whoever takes a trial, or gives one
back, holds the study's lock: a file beside the SQLite database, an advisory lock in PostgreSQL.
Both are let go by the operating system or the server when their holder dies.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from rampart.errors import InputError, StorageError

_SIGNS = 3
_WAIT = 60.0
"""Seconds that a writer waits for another."""
_REMEDY = "Give sqlite:///studies.db or postgresql://user@host/database."


def open_storage(address: str, heartbeat: int = 10) -> RDBStorage:
    """The database at an address, made where it is not there yet.

    Args:
        address: `sqlite:///PATH`, or a PostgreSQL URL.
        heartbeat: seconds between two signs of life of a worker.

    Raises:
        InputError: it is no such address.
        StorageError: there is no such database, or it does not answer.
    """
    # What Optuna would say of each trial is told by whoever watches.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = _checked(address)
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if file := _file(url):
        file.parent.mkdir(parents=True, exist_ok=True)
        engine = {"connect_args": {"timeout": _WAIT}}
    try:
        # Two that open an empty database at once would both make its tables.
        with _opening(file), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs=engine,
                heartbeat_interval=heartbeat,
                grace_period=_SIGNS * heartbeat,
            )
            if file:
                with storage.engine.connect() as connection:
                    connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    except (SQLAlchemyError, StorageInternalError, ImportError, RuntimeError, OSError) as error:
        raise StorageError(
            f"The storage {url.render_as_string()} cannot be opened: {_said(error)}.", _REMEDY
        ) from error
    return storage


def exists(address: str) -> bool:
    """Whether there is anything to open; of a server it is taken for granted.

    Raises:
        InputError: it is no address of a storage.
    """
    file = _file(_checked(address))
    return file is None or file.exists()


@contextmanager
def locked(storage: RDBStorage, name: str, what: str = "") -> Iterator[None]:
    """Hold the lock of a study: nobody else takes or gives back a trial meanwhile.

    Args:
        storage: where it lies.
        name: of the study.
        what: names another lock of the study, for what takes longer and is in nobody's way.
    """
    key = {"key": zlib.crc32(f"{name}\0{what}".encode() if what else name.encode())}
    if file := _file(make_url(storage.url)):
        with FileLock(f"{file}.{key['key']:08x}.{what}.lock" if what else f"{file}.lock"):
            yield
        return
    with storage.engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), key)
        try:
            yield
        finally:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), key)


def alive(storage: RDBStorage, study: optuna.Study) -> set[int]:
    """Numbers of the running trials whose worker has given a sign of life of late."""
    stale = set(storage._get_stale_trial_ids(study._study_id))  # noqa: SLF001 - told nowhere else
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return {trial.number for trial in running if trial._trial_id not in stale}  # noqa: SLF001


@contextmanager
def _opening(file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    with FileLock(f"{file}.lock"):
        yield


def _checked(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        raise InputError(f"{address!r} is no address of a storage.", _REMEDY) from None
    kind = url.get_backend_name()
    if kind not in {"sqlite", "postgresql"}:
        raise InputError(f"Studies cannot be kept in {kind}.", _REMEDY)
    if kind == "sqlite" and url.database in {None, "", ":memory:"}:
        raise InputError("Workers cannot share a database in memory.", _REMEDY)
    # The driver that Rampart brings; SQLAlchemy would take another.
    return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url


def _file(url: URL) -> Path | None:
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _said(error: Exception) -> str:
    """The innermost reason, in one line."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error).__name__
