"""Say what a study found, and what it is worth."""

from typing import NamedTuple

from kfp import dsl

from components.definition import component


@component
def conclude(
    table: dsl.Input[dsl.Dataset],
    study: str,
    pods: list[str],
    column: str,
    storage: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> NamedTuple("Found", [("parameters", str), ("summary", str)]):  # type: ignore[valid-type]
    """Measure default and best parameters once on the test part, which no trial has seen.

    Args:
        table: split messages.
        study: its name.
        pods: what each said when it was done; they are waited for.
        column: the split.
        storage: where studies lie; empty for the environment's.
        report: pictures, figures and every trial, for reading.
        metrics: on the test part, default and tuned, and the difference.

    Returns:
        parameters: the best, as JSON, by the training pipeline's names.
        summary: how the study ended, as JSON.
    """
    import json
    from collections import namedtuple
    from pathlib import Path

    from components.tune.place import cache_folder, storage_address
    from rampart.data.tables import read_table
    from rampart.tuning import studies
    from rampart.tuning.final import measure
    from rampart.tuning.report import write_report

    for said in pods:
        print(said, flush=True)  # noqa: T201
    address = storage_address(storage)
    known = studies.summary(address, study)
    best = studies.best_parameters(address, study)
    messages = read_table(table.path)
    final = measure(messages, known.settings, best, cache=cache_folder(), column=column)
    write_report(address, study, Path(report.path), final)
    for name, value in final.flat().items():
        metrics.log_metric(name, value)
    # A step whose metrics have no file is never found in the cache of a local run.
    Path(metrics.path).write_text(json.dumps(final.flat()), encoding="utf-8")
    Found = namedtuple("Found", ["parameters", "summary"])
    return Found(json.dumps(best), known.model_dump_json())
