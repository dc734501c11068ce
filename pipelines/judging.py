"""From a fitted bundle to a registered one: what every pipeline that trains ends with."""

from typing import Any, NamedTuple

from kfp import dsl

from components.deploy.register import register
from components.evaluate.evaluate import evaluate
from components.evaluate.explain import explain
from components.evaluate.gate import gate


class Trained(NamedTuple):
    """What the pipeline leaves: the bundle, what to read of it, the split data, and its place."""

    bundle: dsl.Model
    report: dsl.HTML
    explanations: dsl.HTML
    table: dsl.Dataset
    version: int
    alias: str
    reason: str


def judged(
    table: Any,
    candidate: Any,
    from_the_past: Any,
    *,
    uri: Any,
    seed: Any,
    tracking_uri: Any,
    model_name: Any,
) -> Trained:
    """The steps from a fitted bundle to a registered one, as part of the pipeline that calls this.

    Args:
        table: the split data.
        candidate: the bundle of the campaign split.
        from_the_past: the bundle of the time split; an empty folder where there is none.
        uri: of the source.
        seed: of the draw of messages that are explained.
        tracking_uri: of MLflow.
        model_name: the registered model's.
    """
    measured = evaluate(
        table=table,
        candidate=candidate,
        from_the_past=from_the_past,
        uri=uri,
    )
    explained = explain(table=table, bundle=measured.outputs["bundle"], seed=seed)
    decided = gate(
        table=table,
        bundle=measured.outputs["bundle"],
        predictions=measured.outputs["predictions"],
        tracking_uri=tracking_uri,
        model_name=model_name,
    ).set_caching_options(enable_caching=False)
    registered = register(
        bundle=measured.outputs["bundle"],
        decision=decided.outputs["decision"],
        evaluation=measured.outputs["evaluation"],
        report=measured.outputs["report"],
        tracking_uri=tracking_uri,
        model_name=model_name,
    ).set_caching_options(enable_caching=False)
    return Trained(
        bundle=measured.outputs["bundle"],
        report=measured.outputs["report"],
        explanations=explained.outputs["explanations"],
        table=table,
        version=registered.outputs["version"],
        alias=registered.outputs["alias"],
        reason=registered.outputs["reason"],
    )
