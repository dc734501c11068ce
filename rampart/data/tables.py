"""Tables on disk, as steps pass them on: Parquet, and nothing that a reader would run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from rampart.errors import DataError


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as one Parquet file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(target, index=False, compression="zstd")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a single Parquet file, or a folder of shards, into memory.

    Raises:
        DataError: there is no such table, or it is broken.
    """
    if Path(path).is_dir():
        from rampart.data.shards import read_whole

        return read_whole(path)
    try:
        with Path(path).open("rb") as file:
            return pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The table {str(path)!r} cannot be read: {error}.", "Run the step that writes it."
        ) from error
