"""Compare a bundle with the champion on the same rows."""

from kfp import dsl

from components.definition import component


@component
def gate(
    table: dsl.Input[dsl.Dataset],
    bundle: dsl.Input[dsl.Model],
    predictions: dsl.Input[dsl.Dataset],
    tracking_uri: str,
    model_name: str,
    decision: dsl.Output[dsl.Artifact],
) -> None:
    """Decide whether the bundle takes the champion's place, and say why.

    Args:
        table: split messages.
        bundle: the candidate.
        predictions: its probabilities on the test part of the campaign split.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
        decision: promote, alias, reason and comparisons, as JSON.
    """
    import tempfile
    from pathlib import Path

    from components.progress import tell
    from rampart.bundle.store import read_manifest
    from rampart.data.tables import read_table
    from rampart.evaluation.gate import Contender, decide
    from rampart.inference.engine import Engine
    from rampart.inference.predictions import predictions as predict
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address

    manifest = read_manifest(Path(bundle.path))
    ensemble = manifest.ensemble.stages[-1].name
    predicted = read_table(predictions.path)
    candidate = Contender(predicted[ensemble].to_numpy(), manifest.threshold)
    registry = Registry(tracking_address(tracking_uri), name=model_name)
    standing = registry.champion()
    champion = None if standing is None else candidate
    if standing is not None and standing.bundle_id != manifest.id:
        messages = read_table(table.path)
        tested = messages[messages["split"] == "test"]
        with tempfile.TemporaryDirectory() as scratch:
            engine = Engine.load(registry.fetch(standing.number, Path(scratch) / "champion"))
            rows = predict(engine, tested, on_progress=tell)
        stage = engine.manifest.ensemble.stages[-1].name
        champion = Contender(rows[stage].to_numpy(), engine.manifest.threshold)
    decided = decide(
        predicted["label"].to_numpy(), predicted["campaign"].to_numpy(), candidate, champion
    )
    decision.metadata.update(promote=decided.promote, alias=decided.alias, reason=decided.reason)
    Path(decision.path).write_text(decided.model_dump_json(), encoding="utf-8")
