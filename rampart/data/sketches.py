"""What de-duplication and campaigns need of a text, small enough that a million fit anywhere.

A message's sketch is the digest of its normalised text, a number for its subject and its MinHash
values: 280 bytes in a file, made while the text is in memory for cleaning anyway.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from rampart.data import layouts
from rampart.data.campaigns import signatures, subject_key
from rampart.data.duplicates import digest
from rampart.data.messages import to_messages
from rampart.data.minhash import PERMUTATIONS, normalised
from rampart.data.parallel import Workers
from rampart.data.rejects import Rejects
from rampart.data.sharding import writing
from rampart.data.shards import read_batches, row_count
from rampart.data.step import Progress
from rampart.errors import DataError

SKETCH = np.dtype([("digest", "V32"), ("subject", "<u8"), ("signature", "<u4", (PERMUTATIONS,))])
_BATCH = 500


@dataclass(frozen=True)
class Sketched:
    """Messages read from a batch of raw rows.

    Attributes:
        messages: of a `MESSAGES` table's columns, n rows.
        rejects: rows that cannot be used.
        sketches: of the messages, `SKETCH` [n].
        rows: that there were.
    """

    messages: pa.Table
    rejects: pd.DataFrame
    sketches: NDArray[np.void]
    rows: int


def sketch(raw: pa.RecordBatch) -> Sketched:
    """Parse and clean raw rows, and sketch what is left of them."""
    step = to_messages(raw.to_pandas())
    texts = [normalised(text) for text in step.rows["clean"]]
    sketches = np.zeros(len(texts), dtype=SKETCH)
    if texts:
        digests = b"".join(map(digest, texts))
        sketches["digest"] = np.frombuffer(digests, dtype="V32")
        sketches["subject"] = [_number(subject_key(text)) for text in step.rows["subject"]]
        sketches["signature"] = signatures(texts)
    table = pa.Table.from_pandas(step.rows, schema=layouts.MESSAGES, preserve_index=False)
    return Sketched(table, step.rejects, sketches, raw.num_rows)


def _number(key: str | None) -> int:
    """64 bits of a subject's hash, none of which is 0; 0 for a subject that says nothing."""
    if key is None:
        return 0
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") or 1


def read_messages(
    raw: str | Path,
    work: Path,
    rejects: Rejects,
    *,
    processes: int = 1,
    on_progress: Progress | None = None,
) -> int:
    """Parse, clean and sketch a dataset of raw rows; gives how many are left.

    Args:
        raw: of `RAW` rows.
        work: folder that gets the messages and their sketches.
        rejects: takes rows that cannot be used.
        processes: that work at once.
        on_progress: called with rows done and rows in all.

    Raises:
        DataError: the raw rows cannot be read.
    """
    total, done = row_count(raw), 0
    work.mkdir(parents=True, exist_ok=True)
    batches = read_batches(raw, batch_size=_BATCH)
    with (
        writing(work / "messages", layouts.MESSAGES) as rows,
        (work / "sketches").open("wb") as file,
        Workers(processes) as workers,
    ):
        for read in workers.in_order(sketch, batches):
            rows.write(read.messages)
            rejects.write(read.rejects)
            read.sketches.tofile(file)
            done += read.rows
            if on_progress:
                on_progress(done, total)
    return rows.rows


def load(work: Path) -> NDArray[np.void]:
    """The sketches that `read_messages` wrote, `SKETCH` [n], in a file rather than in memory.

    Raises:
        DataError: there are not as many as messages.
    """
    path, rows = work / "sketches", row_count(work / "messages")
    size = path.stat().st_size if path.exists() else 0
    if size != rows * SKETCH.itemsize:
        raise DataError(
            f"{str(path)!r} holds {size // SKETCH.itemsize} sketches of {rows} messages.",
            "Clean the raw rows again.",
        )
    if not rows:
        return np.zeros(0, dtype=SKETCH)
    return np.memmap(path, dtype=SKETCH, mode="r")
