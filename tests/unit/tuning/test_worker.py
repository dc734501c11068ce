from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from rampart.errors import DataError, InputError, TrainingError
from rampart.tuning import studies
from rampart.tuning.objectives import Evaluation
from rampart.tuning.storage import alive, open_storage
from rampart.tuning.trials import attempts, counted, mend
from rampart.tuning.worker import work
from rampart.tuning.workers import run_workers
from tests.unit.tuning.conftest import Run, asked, split_table


def results(study: Any) -> list[tuple[Any, ...]]:
    return [(trial.state, trial.values, trial.params) for trial in study.get_trials()]


def test_a_seed_gives_the_same_trials_again_and_another_gives_others(run: Run) -> None:
    first = results(run(asked(name="a", trials=4)))
    assert first == results(run(asked(name="b", trials=4)))
    assert first[1:2] != results(run(asked(name="c", trials=2, seed=1)))[1:]


def test_a_study_that_was_broken_off_draws_what_it_would_have_drawn(run: Run) -> None:
    whole = run(asked(name="whole", sampler="random", trials=4))
    run(asked(name="parts", sampler="random", trials=2))
    assert results(whole) == results(run(asked(name="parts", sampler="random", trials=4)))


def test_the_test_part_reaches_no_trial(run: Run, table: pd.DataFrame, tmp_path: Path) -> None:
    # Some labels are wrong, so that a trial's figure is no round number.
    wrong = (np.arange(len(table)) % 5 == 0).astype(np.int8)
    noisy = table.assign(label=table["label"] ^ wrong)
    spoilt = noisy.copy()
    tested = spoilt["split"] == "test"
    spoilt.loc[tested, ["text", "clean"]] = "win money now"
    spoilt.loc[tested, "label"] = np.int8(1)
    before = results(run(asked(name="a", target="ngram"), noisy, cache=tmp_path / "a"))
    # Nothing that was counted for the one is taken for the other.
    assert before == results(run(asked(name="b", target="ngram"), spoilt, cache=tmp_path / "b"))
    seen = noisy.assign(label=noisy["label"].where(noisy["split"] == "test", table["label"]))
    assert before != results(run(asked(name="c", target="ngram"), seen))


def test_other_data_under_the_same_study_are_refused(run: Run) -> None:
    run(asked(trials=1))
    with pytest.raises(InputError, match="begun on other messages"):
        run(asked(trials=2), split_table(seed=5))


def test_a_table_that_cannot_be_used_says_why(run: Run, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no column 'split'"):
        run(asked(), table.drop(columns="split"))
    with pytest.raises(DataError, match="labels \\[0\\], not both"):
        run(asked(), table[table["label"] == 0])
    few = table[table["split"] != "test"].groupby("label").head(2)
    with pytest.raises(DataError, match="lacks a class"):
        run(asked(), few)


def test_a_trial_that_fails_by_itself_counts_once_and_says_why(
    run: Run, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Evaluation, trial: optuna.Trial, steps: object) -> tuple[float, ...]:
        raise TrainingError("The texts are too few.")

    monkeypatch.setattr(Evaluation, "__call__", fail)
    run(asked(trials=2))
    found = studies.summary(storage, "s")
    assert (found.trials, found.errors) == ({"fail": 2}, ("The texts are too few.",))
    assert (found.state, found.retried) == ("ended", 0)


def test_a_storage_that_fails_ends_the_worker_and_its_trial_is_run_again(
    run: Run, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (OSError("No space left on device"), StorageInternalError("server closed")):

        def fail(*_: object, error: Exception = error) -> tuple[float, ...]:
            raise error

        with monkeypatch.context() as full:
            full.setattr(Evaluation, "__call__", fail)
            with pytest.raises(type(error)):
                run(asked(trials=2))
        assert studies.summary(storage, "s").errors == ()
    run(asked(trials=2))
    found = studies.summary(storage, "s")
    assert sum(found.trials.values()) == 2
    assert "fail" not in found.trials


def test_seconds_are_a_budget_of_all_trials_together(run: Run, storage: str) -> None:
    run(asked(trials=None, seconds=0.001))
    assert studies.summary(storage, "s").trials["complete"] == 1


def test_a_pruned_trial_is_ended_before_its_last_round(run: Run) -> None:
    study = run(asked(trials=8, rounds=100, sampler="random"))
    steps = {TrialState.PRUNED: [], TrialState.COMPLETE: []}
    for trial in study.get_trials():
        steps[trial.state].append(max(trial.intermediate_values))
    assert steps[TrialState.PRUNED]
    assert min(steps[TrialState.PRUNED]) == 20
    assert max(steps[TrialState.COMPLETE]) > 20


def test_a_worker_that_is_stopped_gives_its_trial_back(
    run: Run, storage: str, table: pd.DataFrame, cache: Path
) -> None:
    study = studies.open_study(storage, asked(trials=4, pruner="none"))
    goes_on = iter([True] * 3)
    work(storage, "s", table, cache=cache, halted=lambda: not next(goes_on, False))
    broken, again = study.get_trials()[0], studies.summary(storage, "s")
    assert broken.state == TrialState.FAIL
    assert (again.state, again.retried) == ("idle", 1)
    assert again.trials["waiting"] >= 1
    run(asked(trials=4, pruner="none"))
    trials = study.get_trials()
    assert [trial.state.name for trial in counted(trials)] == ["COMPLETE"] * 4
    (retry,) = (trial for trial in trials if attempts(trial))
    assert attempts(retry) == [0]
    assert retry.params == broken.system_attrs["fixed_params"]


def test_a_trial_may_be_broken_off_more_often_than_it_may_be_lost(
    run: Run, storage: str, table: pd.DataFrame, cache: Path
) -> None:
    settings = asked(trials=1, retries=0, pruner="none")
    studies.open_study(storage, settings)
    for _ in range(3):
        goes_on = iter([True] * 3)
        work(storage, "s", table, cache=cache, halted=lambda on=goes_on: not next(on, False))
    assert studies.summary(storage, "s").trials == {"waiting": 1}
    run(settings)
    found = studies.summary(storage, "s")
    assert (found.trials, found.retried) == ({"complete": 1}, 3)


def test_a_study_that_is_asked_to_stop_stops_and_can_go_on(
    storage: str, table: pd.DataFrame, cache: Path, run: Run
) -> None:
    settings = asked(trials=500, pruner="none")
    studies.open_study(storage, settings)
    worker = threading.Thread(target=work, args=(storage, "s", table), kwargs={"cache": cache})
    worker.start()
    while not studies.summary(storage, "s").trials.get("complete"):
        time.sleep(0.05)
    studies.stop(storage, "s")
    studies.stop(storage, "s")
    worker.join()
    found = studies.summary(storage, "s")
    assert found.state == "idle"
    assert 0 < found.trials["complete"] < 500
    done = found.trials["complete"]
    run(settings.model_copy(update={"trials": done + 2}))
    assert studies.summary(storage, "s").trials["complete"] == done + 2


def take(study: Any) -> None:
    """As a worker does that is killed before it has signed the trial that it takes."""
    waiting = study.get_trials(states=(TrialState.WAITING,))[0]
    study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_whose_worker_died_before_its_first_sign_of_life_is_not_lost(
    storage: str, run: Run
) -> None:
    study = studies.open_study(storage, asked(trials=2))
    take(study)
    run(asked(trials=2))
    states = [trial.state.name for trial in counted(study.get_trials())]
    assert len(states) == 2
    assert set(states) <= {"COMPLETE", "PRUNED"}
    assert study.get_trials()[0].state == TrialState.FAIL


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_that_is_run_again_has_passed_no_rung(storage: str) -> None:
    settings = asked(retries=3)
    study = studies.open_study(storage, settings)
    take(study)
    trial = study.get_trials(states=(TrialState.RUNNING,))[0]
    kept = study._storage
    kept.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
    mend(study, settings)
    again = [each for each in study.get_trials() if attempts(each)]
    assert len(again) == 1
    assert not [name for name in again[0].system_attrs if name.startswith("completed_rung_")]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_that_kills_its_workers_is_given_up(storage: str, run: Run) -> None:
    settings = asked(trials=1, retries=1)
    study = studies.open_study(storage, settings)
    opened = open_storage(storage, 1)
    for _ in range(2):
        take(study)
        mend(study, settings)
    assert not alive(opened, study)
    run(settings)
    assert studies.summary(storage, "s").trials == {"fail": 1}


def test_workers_that_die_again_and_again_end_the_run(
    storage: str, table_file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    studies.open_study(storage, asked())
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no memory left' >&2\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(
        TrainingError, match=r"4 workers have died.* code 7, saying: no memory left"
    ):
        run_workers(storage, "s", table_file, workers=1, cache=cache)


def test_no_worker_is_refused(storage: str, table_file: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="0 workers"):
        run_workers(storage, "s", table_file, workers=0, cache=cache)
