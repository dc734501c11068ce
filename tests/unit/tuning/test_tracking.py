from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from optuna_integration import MLflowCallback

from rampart.errors import RegistryError
from rampart.tuning.tracking import EXPERIMENT
from tests.unit.tuning.conftest import Run, asked


def test_each_trial_is_a_run_under_the_studys_run(run: Run, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    run(asked(trials=2, pruner="none"), tracking_uri=address)
    study = run(asked(trials=3, pruner="none"), tracking_uri=address)
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (one for one in runs if "mlflow.parentRunId" not in one.data.tags)
    children = [one for one in runs if one is not parent]
    assert parent.data.params["target"] == "tabular"
    assert {one.data.tags["mlflow.parentRunId"] for one in children} == {parent.info.run_id}
    values = {trial.number: trial.values[0] for trial in study.get_trials()}
    assert {int(one.data.tags["number"]): one.data.metrics["recall"] for one in children} == values
    assert all("tabular_leaves" in one.data.params for one in children)


def test_what_was_ended_and_not_written_is_written_once_by_the_next(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    run(asked(trials=1, pruner="none"), tracking_uri=address)
    with monkeypatch.context() as killed:

        def kill(*_: object) -> None:
            raise KeyboardInterrupt

        # In the middle of it: the run is there, and no word of which trial it is.
        killed.setattr(MLflowCallback, "_set_tags", kill)
        with pytest.raises(KeyboardInterrupt):
            run(asked(trials=2, pruner="none"), tracking_uri=address)
    # And one that is ended by who knows of no MLflow.
    run(asked(trials=3, pruner="none"))
    run(asked(trials=4, pruner="none"), tracking_uri=address)
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id])
    numbers = [one.data.tags["number"] for one in runs if "mlflow.parentRunId" in one.data.tags]
    assert sorted(numbers) == ["0", "1", "2", "3"]


def test_an_mlflow_that_does_not_answer_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"MLflow at http://127.0.0.1:9 does not answer"):
        run(asked(), tracking_uri="http://127.0.0.1:9")
