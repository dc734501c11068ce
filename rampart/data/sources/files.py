"""A user's own labelled data: JSONL, CSV, Parquet, mbox and .eml files at any fsspec address."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rampart.data.reading import reading
from rampart.data.sources import labels
from rampart.data.sources.opening import File, list_files, size
from rampart.data.sources.rows import Row, iter_rows, missing_column
from rampart.data.step import Progress, Reject, Step, reject_table
from rampart.errors import DataError

ID_COLUMN = "id"
_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which no file could hold."""
    return _SURROGATE.sub("\ufffd", text)


def row_id(file: File, row: Row, id_column: str) -> str:
    """What names a row: its own id if it has one, else the file and the number."""
    own = (row.values or {}).get(id_column)
    if own is not None and str(own).strip():
        return well_formed(str(own).strip())
    return file.id if file.kind == "eml" else f"{file.id}/{row.number}"


def text_of(row: Row, column: str) -> tuple[str | None, str]:
    """A table row's text, or None and why there is none."""
    value = (row.values or {}).get(column)
    if isinstance(value, str):
        return well_formed(value), ""
    return None, "missing" if value is None else f"{type(value).__name__}, not a string"


@dataclass
class _Table:
    """Rows and rejects as they gather."""

    text_column: str
    label_column: str
    rows: list[tuple[str, str, int, bytes | None, str | None]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    # A mapping keeps the columns in the order in which they were met.
    columns: dict[str, None] = field(default_factory=dict)

    def add(self, file: File, row: Row) -> None:
        """Put a row with the rows or, for the first thing wrong with it, with the rejects."""
        identity = row_id(file, row, ID_COLUMN)
        self.columns.update(dict.fromkeys(row.values or ()))
        text, why = (None, "") if row.raw is not None else text_of(row, self.text_column)
        if row.raw is not None:
            found, label = labels.label_of_place(file.place), "no folder names one"
        else:
            value = (row.values or {}).get(self.label_column)
            found, label = labels.label_of(value), "missing" if value is None else str(value)[:80]
        if row.problem:
            self._reject(file, identity, "malformed", row.problem)
        elif why:
            self._reject(file, identity, "text", why)
        elif found is None:
            self._reject(file, identity, "label", label)
        elif identity in self.ids:
            self._reject(file, identity, "duplicate id", f"row {row.number}")
        else:
            self.ids.add(identity)
            self.rows.append((identity, file.group, found, row.raw, text))

    def _reject(self, file: File, identity: str, reason: str, detail: str) -> None:
        self.rejects.append(Reject(identity, file.group, reason, well_formed(detail)))


def read(
    uri: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    on_progress: Progress | None = None,
) -> Step:
    """Read labelled texts or mails into a `RAW` table.

    Args:
        uri: address of a file or of a folder of mails.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        on_progress: called with bytes read and bytes in all.

    Raises:
        SourceError: the source cannot be read.
        DataError: a table lacks a column, or no row can be used.
    """
    files = list_files(uri)
    with reading(uri):
        sizes = [size(file) for file in files] if on_progress else [0] * len(files)
    table, before, whole = _Table(text_column, label_column), 0, sum(sizes)
    for file, length in zip(files, sizes, strict=True):
        for row in iter_rows(file, (text_column, label_column), (ID_COLUMN,)):
            table.add(file, row)
            if on_progress and row.number % 1000 == 0:
                on_progress(before + row.position, whole)
        before += length
        if on_progress:
            on_progress(before, whole)
    _check(uri, table)
    return Step(_frame(table.rows), reject_table("read", table.rejects))


def _check(uri: str, table: _Table) -> None:
    present = list(table.columns)
    for column in (table.text_column, table.label_column):
        if present and column not in present:
            raise missing_column(uri, column, present)
    if table.rows:
        return
    if not table.rejects:
        raise DataError(f"The source {uri!r} is empty.", "Give one with at least one row.")
    (reason, count), first = (
        Counter(item.reason for item in table.rejects).most_common(1)[0],
        table.rejects[0],
    )
    raise DataError(
        f"No row of {uri!r} can be used: {count} of {len(table.rejects)} for their {reason!r}, "
        f"the first row for {first.detail!r}.",
        f"{labels.REMEDY}, or put mails in folders named so." if reason == "label" else "",
    )


def _frame(rows: list[Any]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["id", "group", "label", "raw", "text"], dtype=object)
    return table.astype({"label": "int8"})


def fingerprint(uri: str) -> str:
    """SHA-256 in hex over a source's files, as stored, each under its name.

    Raises:
        SourceError: the source cannot be read.
    """
    whole = hashlib.sha256()
    for file in list_files(uri):
        content = hashlib.sha256()
        with reading(uri), file.filesystem.open(file.path, "rb") as stored:
            while chunk := stored.read(2**20):
                content.update(chunk)
        whole.update(f"{file.id}\0{content.hexdigest()}\n".encode())
    return whole.hexdigest()
