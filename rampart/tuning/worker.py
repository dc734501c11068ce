"""One worker: takes trials from a study until its budget is spent or it is asked to stop.

As a module, a worker in a process of its own: what to do is a line of JSON on standard input, and
when that is closed, because whoever began it has gone, the worker stops.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread

import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from rampart.errors import InputError, RampartError
from rampart.tuning.objectives import Evaluation
from rampart.tuning.pool import Pool
from rampart.tuning.settings import StudySettings
from rampart.tuning.steps import HaltedError, Steps
from rampart.tuning.storage import locked
from rampart.tuning.studies import STOP, equipped, find, settings_of
from rampart.tuning.tracking import Callback, Tracker
from rampart.tuning.trials import ERROR, HALTED, exhausted, mend, sign

DATA = "data"
_NOT_ITS_OWN = (OSError, MemoryError, SQLAlchemyError, StorageInternalError)
"""What ends a worker and says nothing of the trial it was at: disk, memory, the storage."""
_LOOK = 0.5
"""Seconds between two looks at whether the study was asked to stop, or others are done."""
Tell = Callable[[FrozenTrial], None]


def work(
    storage: str,
    name: str,
    table: pd.DataFrame,
    *,
    cache: Path,
    column: str = "split",
    tracking_uri: str = "",
    halted: Callable[[], bool] = lambda: False,
    tell: Tell | None = None,
) -> int:
    """Work on a study until it ends; returns how many trials this worker has finished.

    Args:
        storage: where the study lies.
        name: of the study, which `open_study` made.
        table: split messages, of which the test part is dropped.
        cache: folder where what trials share is kept.
        column: the split.
        tracking_uri: of MLflow, where trials are written too; empty for nowhere.
        halted: whether this worker is to stop; asked at every step.
        tell: is told of each trial that has ended.

    Raises:
        InputError: the study was begun on other data.
        StorageError: the database of studies cannot be opened.
        UnknownModelError: there is no such study.
        DataError: the table is not split so, or too small for the folds.
        RegistryError: MLflow does not answer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        pool = Pool.of(table, column)
        opened, study = find(storage, name)
        settings = settings_of(study)
        evaluate = Evaluation(pool, settings, cache)
        with locked(opened, name):
            begun_on(study, pool)
            tracker = Tracker(opened, study, settings, tracking_uri) if tracking_uri else None
        worker = _Worker(opened, equipped(study, settings), settings, evaluate, halted)
        done = worker.run([tracker] if tracker else [], tell or (lambda _: None))
        if tracker:
            tracker.catch_up(study)
        return done


def begun_on(study: optuna.Study, pool: Pool) -> None:
    """Note what data a study is of; its lock has to be held.

    Raises:
        InputError: it was begun on other data, so that its trials cannot be compared.
    """
    known = study.user_attrs.get(DATA)
    if known is None:
        study.set_user_attr(DATA, pool.fingerprint)
    elif known != pool.fingerprint:
        raise InputError(
            f"The study {study.study_name!r} was begun on other messages ({known[:12]}, not "
            f"{pool.fingerprint[:12]}).",
            "Give the same table, or begin a study of another name.",
        )


class _Worker:
    """The loop: hold the lock, look after lost trials, take one, let the lock go, run it."""

    def __init__(
        self,
        opened: RDBStorage,
        study: optuna.Study,
        settings: StudySettings,
        evaluate: Evaluation,
        halted: Callable[[], bool],
    ) -> None:
        self.opened = opened
        self.study = study
        self.settings = settings
        self.evaluate = evaluate
        self.halted = halted
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.looked = 0.0
        self.stopped = False

    def run(self, callbacks: list[Callback], tell: Tell) -> int:
        done = 0
        while True:
            with ExitStack() as lock:
                lock.enter_context(locked(self.opened, self.settings.name))
                mend(self.study, self.settings)
                if self.asked_to_stop(now=True):
                    return done
                # The budget may have been raised meanwhile.
                self.settings = settings_of(self.study)
                trials = self.study.get_trials(deepcopy=False)
                if not exhausted(trials, self.settings):
                    ended = self._one(lock, callbacks)
                    tell(ended)
                    done += ended.state in (TrialState.COMPLETE, TrialState.PRUNED)
                    continue
                if not any(trial.state == TrialState.RUNNING for trial in trials):
                    return done
            # One that is left with another worker may yet be lost, and be taken on here.
            time.sleep(_LOOK)

    def asked_to_stop(self, *, now: bool = False) -> bool:
        """Whether the worker or the study is; the storage is asked now and then."""
        if now or time.monotonic() - self.looked >= _LOOK:
            self.looked = time.monotonic()
            self.stopped = bool(self.study.user_attrs.get(STOP))
        return self.stopped or self.halted()

    def _one(self, lock: ExitStack, callbacks: list[Callback]) -> FrozenTrial:
        ended: list[FrozenTrial] = []

        def objective(trial: optuna.Trial) -> tuple[float, ...]:
            sign(self.opened, trial, self.name)
            lock.close()
            steps = Steps(
                trial, prunes=self.settings.pruned_by != "none", halted=self.asked_to_stop
            )
            try:
                return self.evaluate(trial, steps)
            except HaltedError:
                trial.set_user_attr(HALTED, True)  # noqa: FBT003 - Optuna's own signature
                raise
            except optuna.TrialPruned:
                raise
            except _NOT_ITS_OWN:
                # No more its fault than a stop, if the storage still takes that down.
                with suppress(*_NOT_ITS_OWN):
                    trial.set_user_attr(HALTED, True)  # noqa: FBT003 - as above
                raise
            except Exception as error:
                # Its own fault, and no reason to try it again.
                trial.set_user_attr(ERROR, str(error) or type(error).__name__)
                raise

        self.study.optimize(
            objective,
            n_trials=1,
            catch=(RampartError, HaltedError),
            callbacks=[*callbacks, lambda _, trial: ended.append(trial)],
        )
        return ended[0]


def main() -> None:
    """Work as told on standard input, until done or told to stop."""
    from rampart.data.tables import read_table

    # An interrupt of the terminal reaches the parent as well, which then closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = json.loads(sys.stdin.readline())
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def watch() -> None:
        # Not sys.stdin: its lock would be held when the interpreter ends.
        while os.read(0, 1024):
            pass
        stop.set()

    Thread(target=watch, daemon=True).start()
    table = read_table(told.pop("table"))
    try:
        work(**told | {"cache": Path(told["cache"])}, table=table, halted=stop.is_set)
    except RampartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
