"""Trials in MLflow: a run for the study, and under it one for each trial, by Optuna's callback."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from rampart.errors import RegistryError
from rampart.tuning.kept import digest
from rampart.tuning.settings import StudySettings
from rampart.tuning.storage import locked
from rampart.tuning.trials import ERROR, counted

Callback = Callable[[optuna.Study, FrozenTrial], None]
EXPERIMENT, RUN, ADDRESS = "rampart-tuning", "mlflow_run", "mlflow_address"
PARENT = "mlflow.parentRunId"


class Tracker:
    """Writes a study's finished trials to MLflow, each once, as children of the study's run.

    An attempt that is made again is no trial of its own, and is not written. The study's lock has
    to be held where one is made: the first worker makes the study's run.

    Args:
        opened: where the study lies.
        study: whose trials they are.
        settings: its own.
        address: of MLflow.

    Raises:
        RegistryError: MLflow does not answer.
    """

    def __init__(
        self, opened: RDBStorage, study: optuna.Study, settings: StudySettings, address: str
    ) -> None:
        self.opened, self.name, self.address = opened, settings.name, address
        with warnings.catch_warnings():
            # The store's modules are imported only now, and warn about what SQLAlchemy deprecates.
            warnings.simplefilter("ignore")
            self._client, self.run, self.experiment = _parent(study, settings, address)
        with warnings.catch_warnings():
            # Optuna 6 will have it no more; until then it is what others' tools know.
            warnings.simplefilter("ignore", FutureWarning)
            from optuna_integration import MLflowCallback

            self._write = MLflowCallback(
                tracking_uri=address,
                metric_name=list(settings.objectives),
                create_experiment=False,
                mlflow_kwargs={
                    "experiment_id": self.experiment,
                    "nested": True,
                    "tags": {PARENT: self.run, "study": settings.name},
                },
            )

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Write a trial that has ended; Optuna's callback.

        Raises:
            RegistryError: MLflow does not answer.
        """
        # Somebody may be catching up with it, or have done so.
        with _answers(self.address), locked(self.opened, self.name, "mlflow"):
            if _counts(trial) and not self._known(f" AND tags.number = '{trial.number}'"):
                self._write(study, trial)

    def catch_up(self, study: optuna.Study) -> None:
        """Write what workers had ended that were killed before they came to write it.

        Raises:
            RegistryError: MLflow does not answer.
        """
        with _answers(self.address), locked(self.opened, self.name, "mlflow"):
            known = self._known()
            for trial in counted(study.get_trials(deepcopy=False)):
                if _counts(trial) and trial.number not in known:
                    self._write(study, trial)

    def _known(self, which: str = "") -> set[int]:
        """Numbers of the trials that are there; a run that was broken off goes.

        Args:
            which: a condition more that they have to meet, as MLflow's search has it.
        """
        found = set()
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self.experiment], f"tags.`{PARENT}` = '{self.run}'{which}", page_token=token
            )
            for run in page:
                # The number is what is written last.
                if (number := run.data.tags.get("number")) is not None:
                    found.add(int(number))
                else:
                    self._client.delete_run(run.info.run_id)
            token = page.token or ""
        return found


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial has ended for good."""
    own = trial.state != TrialState.FAIL or ERROR in trial.user_attrs
    return trial.state.is_finished() and own


@contextmanager
def _answers(address: str) -> Iterator[None]:
    """Turn what MLflow raises where it does not answer into one kind of error."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        shown = re.sub(r"//[^/@]*@", "//", address)
        raise RegistryError(
            f"MLflow at {shown} does not answer ({type(error).__name__}).",
            "Start it, or leave the tracking address out.",
        ) from error


def _parent(study: optuna.Study, settings: StudySettings, address: str) -> tuple[Any, str, str]:
    """A client, the study's own run, which is made where there is none, and its experiment."""
    import mlflow

    with _answers(address):
        client = mlflow.MlflowClient(tracking_uri=address)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        run = study.user_attrs.get(RUN)
        if run is None or study.user_attrs.get(ADDRESS) != digest(address):
            created = client.create_run(
                experiment,
                run_name=settings.name,
                tags={"study": settings.name, "target": settings.target},
            )
            run = created.info.run_id
            for key, value in settings.model_dump(mode="json").items():
                client.log_param(run, key, str(value)[:500])
            client.set_terminated(run)
            # As a digest: it may hold a password, and everybody reads a study's attributes.
            study.set_user_attr(ADDRESS, digest(address))
            study.set_user_attr(RUN, run)
    return client, str(run), str(experiment)
