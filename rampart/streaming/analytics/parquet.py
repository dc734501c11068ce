"""Rows of a stream as Parquet files that can be read at any moment, with DuckDB for one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rampart.errors import DataError

SCHEMA = pa.schema(
    [
        ("message", pa.string()),
        ("source", pa.string()),
        ("category", pa.string()),
        ("received", pa.timestamp("ms", tz="UTC")),
        ("scored", pa.timestamp("ms", tz="UTC")),
        ("latency", pa.int64()),
        ("label", pa.string()),
        ("threat", pa.bool_()),
        ("probability", pa.float64()),
        ("logit", pa.float64()),
        ("stage", pa.string()),
        ("bundle", pa.string()),
        ("words", pa.list_(pa.string())),
        ("campaign", pa.string()),
    ]
)
"""The columns; times in UTC, latency in milliseconds."""


def write(folder: Path, name: str, rows: list[Mapping[str, Any]]) -> Path:
    """Write rows as one file that takes its name when it is whole.

    Args:
        folder: made if it is not there.
        name: of the file, without its ending; the same rows have to come by the same name, so
            that a batch that is written again takes its own place.
        rows: with the schema's columns; others are left out.

    Raises:
        DataError: it cannot be written; nothing is left of it.
    """
    table = pa.Table.from_pylist(
        [{column: row.get(column) for column in SCHEMA.names} for row in rows], schema=SCHEMA
    )
    path = folder / f"{name}.parquet"
    part = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{path} cannot be written: {error.strerror}.", "Make room, and start again."
        ) from error
    return path
