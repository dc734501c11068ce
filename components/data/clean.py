"""Parse, clean, de-duplicate and find campaigns."""

from kfp import dsl

from components.definition import component


@component
def clean(
    raw: dsl.Input[dsl.Dataset],
    messages: dsl.Output[dsl.Dataset],
    rejects: dsl.Output[dsl.Dataset],
) -> None:
    """Make messages of what a source gave.

    Args:
        raw: rows as they came.
        messages: what models read, each with its campaign.
        rejects: rows that cannot be used, and why.
    """
    from components.progress import tell
    from rampart.data.preparation import prepare, reason_counts
    from rampart.data.tables import read_table, write_table

    prepared = prepare(read_table(raw.path), tell)
    write_table(prepared.rows, messages.path)
    write_table(prepared.rejects, rejects.path)
    messages.metadata.update(
        rows=len(prepared.rows), campaigns=int(prepared.rows["campaign"].nunique())
    )
    rejects.metadata.update(reason_counts(prepared.rejects))
