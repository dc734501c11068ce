"""Trials in MLflow: a run for the study, and under it one for each trial, by Optuna's callback."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import optuna
from optuna.trial import FrozenTrial, TrialState

from rampart.errors import RegistryError
from rampart.tuning.kept import digest
from rampart.tuning.settings import StudySettings
from rampart.tuning.trials import ERROR

Callback = Callable[[optuna.Study, FrozenTrial], None]
EXPERIMENT, RUN, ADDRESS = "rampart-tuning", "mlflow_run", "mlflow_address"


def tracked(study: optuna.Study, settings: StudySettings, address: str) -> Callback:
    """A callback that writes a finished trial to MLflow, as a child of the study's run.

    An attempt that is made again is no trial of its own, and is not written. The study's lock has
    to be held: its first worker makes the run.

    Raises:
        RegistryError: MLflow does not answer.
    """
    with warnings.catch_warnings():
        # The store's modules are imported only now, and warn about what SQLAlchemy deprecates.
        warnings.simplefilter("ignore")
        run, experiment = _parent(study, settings, address)
    with warnings.catch_warnings():
        # Optuna 6 will have it no more; until then it is what others' tools know.
        warnings.simplefilter("ignore", FutureWarning)
        from optuna_integration import MLflowCallback

        callback = MLflowCallback(
            tracking_uri=address,
            metric_name=list(settings.objectives),
            create_experiment=False,
            mlflow_kwargs={
                "experiment_id": experiment,
                "nested": True,
                "tags": {"mlflow.parentRunId": run, "study": settings.name},
            },
        )

    def write(study: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state != TrialState.FAIL or ERROR in trial.user_attrs:
            callback(study, trial)

    return write


def _parent(study: optuna.Study, settings: StudySettings, address: str) -> tuple[str, str]:
    """The study's own run, made where there is none at this address, and its experiment."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
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
    except (MlflowException, SQLAlchemyError, OSError) as error:
        shown = re.sub(r"//[^/@]*@", "//", address)
        raise RegistryError(
            f"MLflow at {shown} does not answer ({type(error).__name__}).",
            "Start it, or leave the tracking address out.",
        ) from error
    return str(run), str(experiment)
