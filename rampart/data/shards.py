"""Tables that need not fit into memory: folders of Parquet files, read batch by batch.

A shard is hashed before it is read, so that one that changed is named. `rampart.data.sharding`
writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from rampart.data.manifest import FILE, Manifest, checked
from rampart.errors import DataError

_READAHEAD = 2


def is_sharded(path: str | Path) -> bool:
    """Whether there is a dataset of shards at a path, not a single file."""
    return Path(path).is_dir()


def row_count(path: str | Path) -> int:
    """Rows of a dataset or of a single Parquet file.

    Raises:
        DataError: there is no table.
    """
    if is_sharded(path):
        return Manifest.load(Path(path)).rows
    with _naming(Path(path)):
        return int(pq.read_metadata(path).num_rows)


def shard_paths(path: str | Path) -> list[str]:
    """Files that `read_batches` would read one after the other, each of them a table of its own.

    Raises:
        DataError: there is no table.
    """
    if not is_sharded(path):
        row_count(path)
        return [str(path)]
    return [str(Path(path) / shard.file) for shard in Manifest.load(Path(path)).shards]


def read_batches(
    path: str | Path, columns: Sequence[str] | None = None, *, batch_size: int = 1_000
) -> Iterator[pa.RecordBatch]:
    """Rows of a dataset, or of a single Parquet file or shard, in order and batch by batch.

    Args:
        path: a folder of shards, one of its shards, or a single file.
        columns: those that are wanted; all by default.
        batch_size: the most rows of a batch.

    Raises:
        DataError: the table, a column or a shard is missing, or a shard is broken or has changed.
    """
    path = Path(path)
    if is_sharded(path):
        manifest = Manifest.load(path)
        _want(path, columns, list(manifest.columns))
        for shard in manifest.shards:
            yield from _batches(checked(path, shard), columns, batch_size, manifest, shard.rows)
        return
    beside = path.parent / FILE
    if beside.is_file():
        manifest = Manifest.load(path.parent)
        known = {shard.file: shard for shard in manifest.shards}
        if path.name in known:
            checked(path.parent, known[path.name])
    with _naming(path):
        _want(path, columns, pq.read_schema(path).names)
    yield from _batches(path, columns, batch_size)


def small_columns(messages: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """All rows of a dataset with the columns that are no texts, which memory has to hold.

    Raises:
        DataError: the dataset cannot be read.
    """
    batches = list(read_batches(messages, columns, batch_size=25_000))
    if not batches:
        raise DataError(f"The table {str(messages)!r} has no row.", "Give messages with text.")
    found: pd.DataFrame = pa.Table.from_batches(batches).to_pandas()
    return found


def _batches(
    path: Path,
    columns: Sequence[str] | None,
    batch_size: int,
    manifest: Manifest | None = None,
    rows: int | None = None,
) -> Iterator[pa.RecordBatch]:
    read = 0
    with _naming(path):
        dataset = ds.dataset(path, format="parquet")
        if manifest is not None:
            _agree(path, manifest, dataset.schema)
        batches = dataset.to_batches(
            columns=None if columns is None else list(columns),
            batch_size=batch_size,
            batch_readahead=_READAHEAD,
            fragment_readahead=1,
        )
        for batch in batches:
            if batch.num_rows:
                read += batch.num_rows
                yield batch
    if rows is not None and read != rows:
        raise DataError(f"The shard {str(path)!r} has {read} rows, not {rows}.", "Write it again.")


def _agree(path: Path, manifest: Manifest, schema: pa.Schema) -> None:
    found = {field.name: str(field.type) for field in schema}
    if found != manifest.columns:
        raise DataError(
            f"The shard {str(path)!r} has the columns {found}, its dataset {manifest.columns}.",
            "Write the dataset again.",
        )


def _want(path: Path, columns: Iterable[str] | None, present: Sequence[str]) -> None:
    for column in columns or ():
        if column not in present:
            there = ", ".join(map(repr, present))
            raise DataError(
                f"The table {str(path)!r} has no column {column!r}: it has {there}.",
                "Run the step that adds it.",
            )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"The table {str(path)!r} cannot be read: {error}.", "Run the step that writes it."
        ) from error


def read_whole(path: str | Path) -> pd.DataFrame:
    """A dataset of shards as one pandas table.

    Raises:
        DataError: the dataset cannot be read.
    """
    manifest = Manifest.load(Path(path))
    parts = [pa.Table.from_batches([batch]) for batch in read_batches(path, batch_size=10_000)]
    if not parts:
        return pd.DataFrame(columns=list(manifest.columns), dtype=object)
    whole: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return whole
