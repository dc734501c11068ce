"""Put a bundle into the registry under the alias that the gate gave it."""

from typing import NamedTuple

from kfp import dsl

from components.definition import component


@component
def register(
    bundle: dsl.Input[dsl.Model],
    decision: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    report: dsl.Input[dsl.HTML],
    tracking_uri: str,
    model_name: str,
) -> NamedTuple("Registered", [("version", int), ("alias", str), ("reason", str)]):  # type: ignore[valid-type]
    """Log the run with its figures and files, make a version, and set the alias last.

    Args:
        bundle: what is registered.
        decision: the gate's.
        evaluation: all figures, as JSON.
        report: for reading.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.

    Returns:
        The version's number, its alias, and why.
    """
    from collections import namedtuple
    from pathlib import Path

    from rampart.bundle.store import read_manifest
    from rampart.evaluation.gate import Decision
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address

    manifest = read_manifest(Path(bundle.path))
    decided = Decision.model_validate_json(Path(decision.path).read_bytes())
    registered = Registry(tracking_address(tracking_uri), name=model_name).register(
        Path(bundle.path),
        decision=decided,
        parameters=manifest.parameters,
        metrics=manifest.metrics["all"],
        artifacts={"report.html": Path(report.path), "evaluation.json": Path(evaluation.path)},
    )
    Registered = namedtuple("Registered", ["version", "alias", "reason"])
    return Registered(registered.version, registered.alias, registered.reason)
