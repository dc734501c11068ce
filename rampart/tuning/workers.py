"""Several workers of one study, each in a process of its own with one thread."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from rampart.data.tables import read_table
from rampart.errors import InputError, TrainingError
from rampart.tuning.pool import Pool
from rampart.tuning.storage import locked
from rampart.tuning.studies import StudySummary, find, settings_of, standing
from rampart.tuning.worker import begun_on

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)
_LOOK = 0.5
_PATIENCE = 60.0
"""Seconds that a worker has to come to its next step when it is to stop."""
_RESTARTS = 3
"""Of each worker, on average."""
Tell = Callable[[StudySummary], None]


def run_workers(
    storage: str,
    name: str,
    table: Path,
    *,
    workers: int,
    cache: Path,
    column: str = "split",
    tracking_uri: str = "",
    tell: Tell | None = None,
) -> StudySummary:
    """Work on a study with so many processes until it ends, or is stopped.

    A worker that dies is replaced, and its trial tried again. On an interrupt, or where this
    process is told to end, the workers give back what they were at before it does.

    Args:
        storage: where the study lies.
        name: of the study, which `open_study` made.
        table: file of split messages.
        workers: processes.
        cache: folder where what trials share is kept.
        column: the split.
        tracking_uri: of MLflow; empty for nowhere.
        tell: is told now and then how the study stands.

    Raises:
        InputError: there are no workers, or the study is of other data.
        UnknownModelError: there is no such study.
        DataError: the table cannot be used.
        TrainingError: workers die again and again.
    """
    if workers < 1:
        raise InputError(f"{workers} workers do nothing.", "Ask for at least one.")
    # Said here, before a process is started.
    opened, study = find(storage, name)
    settings = settings_of(study)
    pool = Pool.of(read_table(table), column)
    pool.folds(settings.folds, settings.seed)
    with locked(opened, name):
        begun_on(study, pool)
    told = {
        "storage": storage,
        "name": name,
        "table": str(table.resolve()),
        "cache": str(cache.resolve()),
        "column": column,
        "tracking_uri": tracking_uri,
    }
    with TemporaryDirectory(prefix="rampart-workers-") as logs, _ended_by_sigterm():
        crew = _Crew(told, Path(logs))
        try:
            for _ in range(workers):
                crew.start()
            while crew.look(workers):
                if tell is not None:
                    tell(standing(opened, study))
                time.sleep(_LOOK)
        finally:
            crew.end()
    return standing(opened, study)


class _Crew:
    """The processes, and what they wrote to standard error."""

    def __init__(self, told: dict[str, str], logs: Path) -> None:
        self.told = told
        self.logs = logs
        self.alive: dict[subprocess.Popen[str], Path] = {}
        self.started = 0

    def start(self) -> None:
        log = self.logs / f"{self.started}.txt"
        self.started += 1
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "rampart.tuning.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **_ONE_THREAD, "TOKENIZERS_PARALLELISM": "false"},
                text=True,
            )
        self.alive[process] = log
        with suppress(BrokenPipeError):
            _input(process).write(json.dumps(self.told) + "\n")
            _input(process).flush()

    def look(self, workers: int) -> bool:
        """Replace those that died; False when all have ended by themselves.

        Raises:
            TrainingError: too many have died.
        """
        for process, log in list(self.alive.items()):
            if process.poll() is None:
                continue
            del self.alive[process]
            _closed(process)
            if process.returncode == 0:
                continue
            if self.started >= workers * (1 + _RESTARTS):
                raise TrainingError(
                    f"{self.started} workers have died, the last {_how(process, log)}.",
                    "Mend that and run the study on: what is done is kept.",
                )
            self.start()
        return bool(self.alive)

    def end(self) -> None:
        """Ask all to stop, and end those that do not."""
        for process in self.alive:
            _closed(process)
        limit = time.monotonic() + _PATIENCE
        for process in self.alive:
            try:
                process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                # Its trial is another's after some missed signs of life.
                process.kill()
                process.wait()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """For the block, SIGTERM is an interrupt as the keyboard's is, unless it has a handler."""
    own = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if own or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _input(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdin is None:
        raise TypeError("a worker has no standard input")
    return process.stdin


def _closed(process: subprocess.Popen[str]) -> None:
    with suppress(BrokenPipeError):
        _input(process).close()


def _how(process: subprocess.Popen[str], log: Path) -> str:
    if process.returncode < 0:
        return f"by signal {-process.returncode}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
    return f"with code {process.returncode}, saying: {lines[-1].rstrip('.')}"
