"""Writing tables that need not fit into memory: shard by shard, and all of them or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rampart.data.manifest import FILE, Manifest, Shard
from rampart.data.staging import staged
from rampart.errors import DataError

SHARD_ROWS = 10_000
SHARD_BYTES = 128 * 2**20
"""Bytes in memory, before compression, at which a shard is closed."""

_GROUP_BYTES = 16 * 2**20


class ShardWriter:
    """Writes batches of rows into shards; made by `writing`.

    Attributes:
        rows: written so far.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, rows: int = SHARD_ROWS, size: int = SHARD_BYTES
    ) -> None:
        self.folder = folder
        self.schema = schema
        self.rows = 0
        self._most_rows, self._most_bytes = rows, size
        self._shards: list[Shard] = []
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = self._shard_rows = self._shard_bytes = 0
        self._file: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table | pd.DataFrame) -> None:
        """Add rows.

        Raises:
            DataError: they are not of the dataset's schema, or cannot be written.
        """
        if not len(rows):
            return
        table = _cast(rows, self.schema)
        while len(table):
            room = self._most_rows - self._shard_rows - self._held_rows
            part = table.slice(0, room)
            table = table.slice(len(part))
            self._held.append(part)
            self._held_rows += len(part)
            self._held_bytes += part.nbytes
            full = self._shard_rows + self._held_rows >= self._most_rows
            heavy = self._shard_bytes + self._held_bytes >= self._most_bytes
            with _writing_to(self.folder):
                if full or heavy or self._held_bytes >= _GROUP_BYTES:
                    self._flush()
                if full or heavy:
                    self._close_shard()

    def close(self) -> Manifest:
        """Write what is held and dataset.json."""
        with _writing_to(self.folder):
            self._flush()
            self._close_shard()
            columns = {field.name: str(field.type) for field in self.schema}
            manifest = Manifest(columns=columns, shards=tuple(self._shards))
            manifest.save(self.folder)
        return manifest

    def abandon(self) -> None:
        """Close the open file; the folder is not to be used."""
        if self._file is not None:
            # A full disk fails again here; the first error is the one to tell.
            with suppress(OSError):
                self._file.close()

    def _flush(self) -> None:
        if not self._held_rows:
            return
        if self._file is None:
            path = self.folder / f"part-{len(self._shards):05}.parquet"
            self._file = pq.ParquetWriter(path, self.schema, compression="zstd")
        self._file.write_table(pa.concat_tables(self._held), row_group_size=self._held_rows)
        self._shard_rows += self._held_rows
        self._shard_bytes += self._held_bytes
        self.rows += self._held_rows
        self._held, self._held_rows, self._held_bytes = [], 0, 0

    def _close_shard(self) -> None:
        if self._file is None:
            return
        self._file.close()
        path = self.folder / f"part-{len(self._shards):05}.parquet"
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._shards.append(
            Shard(file=path.name, rows=self._shard_rows, bytes=path.stat().st_size, sha256=sha256)
        )
        self._file, self._shard_rows, self._shard_bytes = None, 0, 0


@contextmanager
def writing(
    path: str | Path,
    schema: pa.Schema,
    *,
    rows: int = SHARD_ROWS,
    size: int = SHARD_BYTES,
    replace: bool = False,
) -> Iterator[ShardWriter]:
    """A writer of the dataset at a path, where it appears when the block ends without an error.

    Args:
        path: the folder to be made.
        schema: of all rows.
        rows: the most of a shard.
        size: bytes of rows in memory at which a shard is closed.
        replace: whether a dataset that is there already makes room.

    Raises:
        DataError: there is something already, or it cannot be written.
    """
    path = Path(path)
    if rows < 1 or size < 1:
        raise DataError(
            f"Shards of {rows} rows and {size} bytes hold nothing.", "Give one or more."
        )
    _refuse(path, replace=replace)
    with ExitStack() as stack:
        with _writing_to(path):
            folder = stack.enter_context(staged(path))
        writer = ShardWriter(folder, schema, rows, size)
        stack.callback(writer.abandon)
        yield writer
        writer.close()


def _refuse(path: Path, *, replace: bool) -> None:
    """Refuse to write where something would be lost that is not to be replaced."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not replace:
        raise DataError(f"{str(path)!r} is there already.", "Remove it, or name another place.")
    if not (path / FILE).is_file():
        raise DataError(
            f"{str(path)!r} is not a dataset: it would be lost.",
            "Name a folder that does not exist, an empty one, or a dataset to replace.",
        )


@contextmanager
def _writing_to(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The dataset {str(path)!r} cannot be written: {error.strerror or error}.",
            "Name a place that can be written to and has room.",
        ) from error


def _cast(rows: pa.Table | pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Rows as a table of the schema, with nothing lost on the way."""
    try:
        if isinstance(rows, pd.DataFrame):
            table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
        else:
            table = rows.select(schema.names).cast(schema)
        table.validate()
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"Rows do not fit the dataset's schema: {' '.join(str(error).split())}.",
            f"Give the columns {', '.join(schema.names)}.",
        ) from error
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise DataError(
                f"The column {field.name!r} lacks {table[field.name].null_count} values.",
                "Give a value in every row.",
            )
    return table.replace_schema_metadata(None)
