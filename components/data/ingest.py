"""Read labelled messages from a source."""

from kfp import dsl

from components.definition import component


@component
def ingest(
    uri: str,
    fingerprint: str,
    text_column: str,
    label_column: str,
    raw: dsl.Output[dsl.Dataset],
    rejects: dsl.Output[dsl.Dataset],
) -> None:
    """Read a source into shards, in memory that does not grow with it.

    Args:
        uri: "spam-assassin", or the address of a file or folder of messages.
        fingerprint: of the source's content, so that changed content is read again.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        raw: rows as they came.
        rejects: rows that cannot be used, and why.
    """
    from components.progress import tell
    from rampart.data.ingestion import ingest
    from rampart.settings import settings

    rows, unread = ingest(
        uri,
        raw.path,
        rejects.path,
        text_column=text_column,
        label_column=label_column,
        cache=settings().cache_dir,
        on_progress=tell,
    )
    raw.metadata.update(rows=rows, uri=uri, fingerprint=fingerprint)
    rejects.metadata.update(rows=unread)
