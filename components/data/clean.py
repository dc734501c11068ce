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
    from rampart.data.uniting import clean_shards
    from rampart.models.cores import cores

    cleaned = clean_shards(
        raw.path, messages.path, rejects.path, processes=cores(), on_progress=tell
    )
    messages.metadata.update(rows=cleaned.messages, campaigns=cleaned.campaigns)
    rejects.metadata.update(cleaned.rejects)
