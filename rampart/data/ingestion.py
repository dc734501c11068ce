"""From a source of any size to shards of rows as they came."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rampart.data import layouts, sources
from rampart.data.rejects import Rejects, rejecting
from rampart.data.sharding import ShardWriter, writing
from rampart.data.sources.files import Fields
from rampart.data.step import Progress, Reject, reject_table

_BATCH_ROWS = 1_000
_BATCH_BYTES = 16 * 2**20


def ingest(
    uri: str,
    raw: str | Path,
    rejects: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> tuple[int, int]:
    """Read a source into a dataset of `RAW` rows, one of rejects beside it; gives both counts.

    Args:
        uri: as `sources.read` takes it.
        raw: folder for the rows.
        rejects: folder for the rows that cannot be used.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        cache: folder for what is fetched; the user's cache folder by default.
        on_progress: called with bytes while fetching, with mails or bytes while reading.

    Raises:
        SourceError: the source cannot be fetched or read.
        DataError: it lacks a column, or holds no row that can be used.
    """
    with (
        writing(raw, layouts.RAW, replace=True) as rows,
        rejecting(rejects) as dropped,
    ):
        items = sources.read_each(
            uri,
            text_column=text_column,
            label_column=label_column,
            cache=cache,
            on_progress=on_progress,
        )
        _write(items, rows, dropped)
    return rows.rows, dropped.reasons.total()


def _write(items: Iterable[Fields | Reject], rows: ShardWriter, dropped: Rejects) -> None:
    held: list[Fields] = []
    unread: list[Reject] = []
    size = 0

    def flush() -> None:
        table = pd.DataFrame(held, columns=layouts.RAW.names, dtype=object)
        rows.write(table.astype({"label": "int8"}))
        dropped.write(reject_table("read", unread))
        held.clear()
        unread.clear()

    for item in items:
        if isinstance(item, Reject):
            unread.append(item)
        else:
            held.append(item)
            size += len(item[3] or "") + 4 * len(item[4] or "")
        if len(held) + len(unread) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            flush()
            size = 0
    flush()
