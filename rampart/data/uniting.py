"""Copies and campaigns of messages that lie in shards: found on sketches, then written once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from rampart.data import layouts
from rampart.data.campaigns import first_of_campaign
from rampart.data.duplicates import without_copies
from rampart.data.rejects import Rejects, rejecting
from rampart.data.sharding import ShardWriter, writing
from rampart.data.shards import read_batches, row_count, small_columns
from rampart.data.sketches import load, read_messages
from rampart.data.step import Progress
from rampart.errors import DataError

_ALONE = 5_000  # Rows up to which processes would take longer to start than to help.
_SMALL = ("id", "group", "label", "arrived")


@dataclass(frozen=True)
class Cleaned:
    """What `clean_shards` made.

    Attributes:
        messages: that are left.
        campaigns: that they belong to.
        rejects: how many rows were left out for each reason, most first.
    """

    messages: int
    campaigns: int
    rejects: Mapping[str, int]


def unite(
    work: Path, messages: ShardWriter, rejects: Rejects, on_progress: Progress | None = None
) -> tuple[int, int]:
    """Leave copies out and give each message its campaign; gives messages and campaigns.

    Args:
        work: the folder of `read_messages`.
        messages: takes the messages that stay, in their order.
        rejects: takes those that do not.
        on_progress: called with rows written and rows in all.

    Raises:
        DataError: the work cannot be read, or no message is left.
    """
    sketches = load(work)
    if not len(sketches):
        raise _nothing_left(rejects)
    rows = small_columns(work / "messages", _SMALL)
    kept, copies = without_copies(rows, _bytes(sketches))
    rejects.write(copies)
    chosen = np.flatnonzero(kept)
    if not len(chosen):
        raise _nothing_left(rejects)
    ids = rows["id"].to_numpy()[chosen]
    del rows, copies
    subjects = np.ascontiguousarray(sketches["subject"])[chosen]
    first = first_of_campaign(sketches["signature"], subjects, chosen)
    _write(work / "messages", kept, pa.array(ids[first], pa.string()), messages, on_progress)
    return len(chosen), len(np.unique(first))


def _nothing_left(rejects: Rejects) -> DataError:
    return DataError(
        f"None of the {rejects.reasons.total()} rows can be used: {rejects.told()}.",
        "Give messages with text.",
    )


def _bytes(sketches: np.ndarray) -> list[bytes]:
    digests = np.ascontiguousarray(sketches["digest"]).tobytes()
    return [digests[start : start + 32] for start in range(0, len(digests), 32)]


def _write(
    source: Path,
    kept: np.ndarray,
    campaigns: pa.Array,
    messages: ShardWriter,
    on_progress: Progress | None,
) -> None:
    read = written = 0
    for batch in read_batches(source):
        stays = kept[read : read + batch.num_rows]
        read += batch.num_rows
        rows = pa.Table.from_batches([batch]).filter(pa.array(stays))
        place = rows.schema.get_field_index("campaign")
        named = campaigns.slice(written, len(rows))
        messages.write(rows.set_column(place, messages.schema.field("campaign"), named))
        written += len(rows)
        if on_progress:
            on_progress(read, len(kept))


def clean_shards(
    raw: str | Path,
    messages: str | Path,
    rejects: str | Path,
    *,
    processes: int = 1,
    on_progress: Progress | None = None,
) -> Cleaned:
    """`preparation.prepare` for a dataset of any size: the same rows in the same order.

    Args:
        raw: of `RAW` rows.
        messages: folder for the `MESSAGES` rows.
        rejects: folder for the rows that cannot be used.
        processes: that parse and clean at once, where there are rows enough.
        on_progress: called with rows done and rows in all, while parsing.

    Raises:
        DataError: the raw rows cannot be read, or none can be used.
    """
    total = row_count(raw)
    with (
        writing(messages, layouts.MESSAGES, replace=True) as kept,
        rejecting(rejects) as dropped,
    ):
        # Beside the shards that are being written, so that it goes with them where this is killed.
        work = kept.folder / "work"
        at_once = processes if total > _ALONE else 1
        read_messages(raw, work, dropped, processes=at_once, on_progress=on_progress)
        counts = unite(work, kept, dropped)
        shutil.rmtree(work)
    return Cleaned(*counts, dropped.counts())
