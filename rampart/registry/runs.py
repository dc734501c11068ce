"""One bundle as one MLflow run: parameters, metrics, tags and files."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from rampart.bundle.manifest import MANIFEST_FILE, Manifest
from rampart.errors import RegistryError
from rampart.registry.connection import is_code

BUNDLE_FOLDER = "bundle"


def finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics that have a value, under names that MLflow takes."""
    return {
        _name(name): float(value)
        for name, value in metrics.items()
        if value is not None and math.isfinite(value)
    }


def check_artifacts(artifacts: Mapping[str, Path]) -> None:
    """See, before anything is written, that what is to be uploaded is there.

    Raises:
        RegistryError: a file is missing, or its name would put it elsewhere.
    """
    for name, path in artifacts.items():
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or parts[0] == BUNDLE_FOLDER:
            raise RegistryError(
                f"An artifact cannot be named {name!r}.",
                f"Name it by a relative path outside {BUNDLE_FOLDER}/, such as report.html.",
            )
        if not path.exists():
            raise RegistryError(
                f"The artifact {name} is not there: {path} does not exist.",
                "Give the file that an earlier step wrote.",
            )


def experiment_id(client: Any, name: str, artifact_root: str | None) -> str:
    """The experiment's id; it is made if it is not there, by whichever process comes first.

    Raises:
        RegistryError: it was deleted, so that nothing can be logged there.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifact_root))
        except MlflowException as error:
            if not is_code(error, "RESOURCE_ALREADY_EXISTS"):
                raise
        experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage == "deleted":
        raise RegistryError(
            f"The experiment {name!r} was deleted.",
            f"Restore it by `mlflow experiments restore -x {experiment.experiment_id}`, "
            "or name another.",
        )
    return str(experiment.experiment_id)


def log_run(
    client: Any,
    experiment: str,
    bundle: Path,
    manifest: Manifest,
    *,
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    artifacts: Mapping[str, Path],
) -> Any:
    """Log a verified bundle and what belongs to it; returns the finished MLflow run.

    What fails on the way leaves a run marked as failed, which nothing points to.
    """
    from mlflow.entities import Metric, Param, RunStatus
    from mlflow.utils.time import get_current_time_millis

    tags = {
        "bundle_id": manifest.id,
        "source_revision": manifest.source_revision,
        "data_fingerprint": manifest.data_fingerprint,
    }
    run = client.create_run(experiment, tags=tags, run_name=f"bundle-{manifest.id[:12]}")
    run_id = run.info.run_id
    try:
        now = get_current_time_millis()
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
            params=[Param(_name(name), str(value)) for name, value in parameters.items()],
        )
        for name, path in artifacts.items():
            _upload(client, run_id, path, PurePosixPath(name))
        # What was verified, file by file, and the manifest last.
        for name in (*manifest.files, MANIFEST_FILE):
            _upload(client, run_id, bundle / name, PurePosixPath(BUNDLE_FOLDER) / name)
    except BaseException:
        # The first error is the one to tell of.
        with suppress(Exception):
            client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))
        raise
    client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED))
    return run


def _upload(client: Any, run_id: str, path: Path, name: PurePosixPath) -> None:
    parent = None if str(name.parent) == "." else str(name.parent)
    if path.is_dir():
        client.log_artifacts(run_id, str(path), str(name))
    elif path.name == name.name:
        client.log_artifact(run_id, str(path), parent)
    else:
        # MLflow keeps a file's own name, and a pipeline's artifacts are all named by their task.
        with tempfile.TemporaryDirectory() as folder:
            renamed = shutil.copyfile(path, Path(folder) / name.name)
            client.log_artifact(run_id, str(renamed), parent)


def _name(name: str) -> str:
    """The name in the characters that MLflow allows for parameters and metrics."""
    return re.sub(r"[^\w\-. :/]", "_", name)
