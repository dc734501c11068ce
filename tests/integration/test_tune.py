"""Studies by workers in processes of their own, which are killed, ended and replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.trial import TrialState

from rampart.data.tables import write_table
from rampart.errors import StorageError
from rampart.tuning import studies
from rampart.tuning.storage import alive, open_storage
from rampart.tuning.trials import attempts, counted
from rampart.tuning.worker import work
from rampart.tuning.workers import run_workers
from tests.integration import postgres
from tests.unit.tuning.conftest import asked, split_table

pytestmark = pytest.mark.slow
LONG = {"pruner": "none", "folds": 3, "rounds": 250}
"""A trial takes long enough to be met at work."""


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return split_table()


@pytest.fixture(scope="module")
def table_file(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    write_table(table, path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def database() -> Iterator[str]:
    with postgres.server() as address:
        yield address


def worker_process(storage: str, table_file: Path, cache: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rampart.tuning.worker"], stdin=subprocess.PIPE, text=True
    )
    told = {"storage": storage, "name": "s", "table": str(table_file), "cache": str(cache)}
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()
    return process


def at_work(study: Any) -> list[Any]:
    """Trials that a worker is in the middle of."""
    running = study.get_trials(states=(TrialState.RUNNING,))
    return [trial for trial in running if "worker" in trial.user_attrs and len(trial.params) == 3]


def kill_worker_of(trial: Any) -> None:
    os.kill(int(trial.user_attrs["worker"].rpartition(":")[2]), signal.SIGKILL)


def check_retried_once(study: Any, lost: Any, budget: int) -> None:
    """The lost trial was run again as it was, and each trial of the budget is there once."""
    trials = study.get_trials()
    assert trials[lost.number].state == TrialState.FAIL
    (retry,) = (trial for trial in trials if attempts(trial))
    assert (attempts(retry), retry.params) == ([lost.number], lost.params)
    last = counted(trials)
    assert [trial.state for trial in last] == [TrialState.COMPLETE] * budget
    assert len({json.dumps(trial.params) for trial in last}) == budget


def test_a_killed_worker_of_two_is_replaced_and_nothing_is_lost_or_counted_twice(
    storage: str, table_file: Path, cache: Path
) -> None:
    study = studies.open_study(storage, asked(trials=4, **LONG))
    killed: list[Any] = []

    def kill(_: object) -> None:
        if not killed and len(working := at_work(study)) == 2:
            killed.append(working[0])
            kill_worker_of(working[0])
            if study.get_trials()[working[0].number].state != TrialState.RUNNING:
                # It was over just before.
                killed.clear()

    found = run_workers(storage, "s", table_file, workers=2, cache=cache, tell=kill)
    assert killed, "two workers were never at work at once"
    assert (found.state, found.trials, found.retried) == ("ended", {"complete": 4}, 1)
    check_retried_once(study, killed[0], 4)


@pytest.mark.skipif(not postgres.HERE, reason="needs PostgreSQL's initdb and postgres")
def test_in_postgresql_the_trial_of_a_killed_worker_waits_for_its_signs_of_life_and_is_run_again(
    database: str, table: pd.DataFrame, table_file: Path, cache: Path
) -> None:
    study = studies.open_study(database, asked(trials=2, **LONG))
    process = worker_process(database, table_file, cache)
    while not (working := at_work(study)):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stdin.close()
    # Its sign of life is fresh yet: until it is not, the trial is held to be running.
    assert alive(open_storage(database, 1), study) == {working[0].number}
    work(database, "s", table, cache=cache)
    check_retried_once(study, working[0], 2)
    assert [known.trials for known in studies.summaries(database)] == [{"complete": 2}]
    with pytest.raises(StorageError, match="password authentication failed") as caught:
        studies.summary(database.replace("secret", "wrong"), "s")
    assert "wrong" not in str(caught.value)


def test_a_worker_that_is_told_to_end_does_so_at_the_next_step_and_its_trial_waits(
    storage: str, table_file: Path, cache: Path
) -> None:
    study = studies.open_study(storage, asked(trials=100_000, **LONG))
    process = worker_process(storage, table_file, cache)
    while not at_work(study):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 0
    process.stdin.close()
    trials = study.get_trials()
    assert {trial.state for trial in counted(trials)} <= {TrialState.COMPLETE, TrialState.WAITING}
    assert {trial.state for trial in trials} >= {TrialState.WAITING, TrialState.FAIL}
