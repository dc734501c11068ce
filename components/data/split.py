"""Split messages by campaign and by time."""

from kfp import dsl

from components.definition import component


@component
def split(
    messages: dsl.Input[dsl.Dataset],
    seed: int,
    time_split: bool,
    table: dsl.Output[dsl.Dataset],
    counts: dsl.Output[dsl.Metrics],
) -> None:
    """Put each message into a part of the campaign split and of the time split.

    Args:
        messages: what models read.
        seed: of the draw of campaigns.
        time_split: whether there is one; without it nothing is trained on the past.
        table: the messages with the columns split and time_split.
        counts: rows in each part.
    """
    import json
    from pathlib import Path

    from components.progress import tell
    from rampart.data.dataset import split_shards

    parts = split_shards(messages.path, table.path, seed=seed, timed=time_split, on_progress=tell)
    for name, count in parts.items():
        counts.log_metric(name, count)
    # A step whose metrics have no file is never found in the cache of a local run.
    Path(counts.path).write_text(json.dumps(parts), encoding="utf-8")
