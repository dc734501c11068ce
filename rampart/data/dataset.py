"""From any source to a split dataset of shards, in memory that does not grow with its texts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa

from rampart.data import layouts, splits
from rampart.data.ingestion import ingest
from rampart.data.rejects import rejecting
from rampart.data.sharding import ShardWriter, writing
from rampart.data.shards import read_batches, small_columns
from rampart.data.step import Progress
from rampart.data.uniting import clean_shards

REJECTS = "rejects"
_COLUMNS = ("split", "time_split")
Stage = Callable[[str], Progress]
"""Called with a step's name; what it gives is called with what is done and the whole."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare_dataset` made.

    Attributes:
        messages: in the dataset.
        campaigns: that they belong to.
        threats: among the messages.
        parts: rows of each part of each split, by "split train" and the like.
        rejects: how many rows were left out for each reason.
    """

    messages: int
    campaigns: int
    threats: int
    parts: Mapping[str, int]
    rejects: Mapping[str, int]


def prepare_dataset(
    uri: str,
    output: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    cache: Path | None = None,
    seed: int = 0,
    timed: bool = True,
    processes: int = 1,
    replace: bool = False,
    stage: Stage = lambda _: lambda __, ___: None,
) -> Prepared:
    """Ingest, clean, de-duplicate, find campaigns and split, one streaming step after the other.

    The output is a folder of `SPLIT` shards, with a dataset of rejects in it.

    Args:
        uri: as `sources.read` takes it.
        output: folder that appears when all is done.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        cache: folder for what is fetched; the user's cache folder by default.
        seed: of the campaign split.
        timed: whether there is a time split.
        processes: that parse and clean at once.
        replace: whether a dataset that is at the output already makes room.
        stage: told each step.

    Raises:
        SourceError: the source cannot be fetched or read.
        DataError: no row can be used, or a part of the split lacks a class.
    """
    with writing(output, layouts.SPLIT, replace=replace) as rows:
        work = rows.folder / "work"
        read = work / "raw", work / "unread"
        ingest(
            uri,
            *read,
            text_column=text_column,
            label_column=label_column,
            cache=cache,
            on_progress=stage("Reading"),
        )
        usable = work / "messages", work / "unusable"
        tell = stage("Parsing, cleaning and finding campaigns")
        cleaned = clean_shards(read[0], *usable, processes=processes, on_progress=tell)
        shutil.rmtree(read[0])
        parts, threats = _split(
            usable[0], rows, seed=seed, timed=timed, on_progress=stage("Splitting")
        )
        with rejecting(rows.folder / REJECTS) as rejects:
            for batch in chain(read_batches(read[1]), read_batches(usable[1])):
                rejects.write(batch.to_pandas())
        shutil.rmtree(work)
    return Prepared(cleaned.messages, cleaned.campaigns, threats, parts, rejects.counts())


def split_shards(
    messages: str | Path,
    table: str | Path,
    *,
    seed: int = 0,
    timed: bool = True,
    on_progress: Progress | None = None,
) -> dict[str, int]:
    """`splits.split` for a dataset of any size; gives the rows of each part of each split.

    Raises:
        DataError: the messages cannot be read, or a part lacks a class.
    """
    with writing(table, layouts.SPLIT, replace=True) as rows:
        parts, _ = _split(messages, rows, seed=seed, timed=timed, on_progress=on_progress)
    return parts


def _split(
    messages: str | Path,
    rows: ShardWriter,
    *,
    seed: int,
    timed: bool,
    on_progress: Progress | None,
) -> tuple[dict[str, int], int]:
    """Write messages with their parts; gives the rows of each part, and how many are threats."""
    small = small_columns(messages, ("id", "label", "arrived", "campaign"))
    parted = splits.split(small, seed=seed, timed=timed)
    done = 0
    for batch in read_batches(messages):
        part = slice(done, done + batch.num_rows)
        table = pa.Table.from_batches([batch])
        for column in _COLUMNS:
            values = pa.array(parted[column].iloc[part], pa.string())
            table = table.append_column(layouts.SPLIT.field(column), values)
        rows.write(table)
        done += batch.num_rows
        if on_progress:
            on_progress(done, len(small))
    parts = {
        f"{column} {part}": int(count)
        for column in _COLUMNS
        for part, count in parted[column].value_counts().items()
    }
    return parts, int(small["label"].sum())
