"""Show what the verdicts of a bundle rest on."""

from kfp import dsl

from components.definition import component


@component
def explain(
    table: dsl.Input[dsl.Dataset],
    bundle: dsl.Input[dsl.Model],
    seed: int,
    explanations: dsl.Output[dsl.HTML],
) -> None:
    """Explain verdicts on the test part of the campaign split, one by one and all together.

    Args:
        table: split messages.
        bundle: that answers.
        seed: of the draw of messages.
        explanations: for reading: highlighted texts, and the words that weigh most.
    """
    from pathlib import Path

    from components.progress import tell
    from rampart.data.tables import read_table
    from rampart.exposition import exposition
    from rampart.inference.engine import Engine

    messages = read_table(table.path)
    tested = messages[messages["split"] == "test"]
    engine = Engine.load(Path(bundle.path))
    page = exposition(engine, tested, seed=seed, on_progress=tell)
    Path(explanations.path).write_text(page, encoding="utf-8")
