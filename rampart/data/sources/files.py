"""A user's own labelled data: JSONL, CSV, Parquet, mbox and .eml files at any fsspec address."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from rampart.data.reading import reading
from rampart.data.sources import labels
from rampart.data.sources.opening import File, list_files, size
from rampart.data.sources.rows import Row, iter_rows, missing_column
from rampart.data.step import Progress, Reject, Step, reject_table
from rampart.errors import DataError

ID_COLUMN = "id"
Fields = tuple[str, str, int, bytes | None, str | None]
"""A row of a `RAW` table: id, group, label, raw, text."""

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
class _Sorter:
    """Tells rows that can be used from rejects, and what there was, for when none can be."""

    text_column: str
    label_column: str
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: Reject | None = None
    # Of an id a digest is enough, however long it is and however many there are.
    ids: set[bytes] = field(default_factory=set)
    # A mapping keeps the columns in the order in which they were met.
    columns: dict[str, None] = field(default_factory=dict)

    def sort(self, file: File, row: Row) -> Fields | Reject:
        """A row's fields or, for the first thing wrong with it, its reject."""
        identity = row_id(file, row, ID_COLUMN)
        self.columns.update(dict.fromkeys(row.values or ()))
        text, why = (None, "") if row.raw is not None else text_of(row, self.text_column)
        if row.raw is not None:
            found, label = labels.label_of_place(file.place), "no folder names one"
        else:
            value = (row.values or {}).get(self.label_column)
            found, label = labels.label_of(value), "missing" if value is None else str(value)[:80]
        if row.problem:
            return self._reject(file, identity, "malformed", row.problem)
        if why:
            return self._reject(file, identity, "text", why)
        if found is None:
            return self._reject(file, identity, "label", label)
        encoded = identity.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(encoded, digest_size=16).digest()
        if digest in self.ids:
            return self._reject(file, identity, "duplicate id", f"row {row.number}")
        self.ids.add(digest)
        self.kept += 1
        return identity, file.group, found, row.raw, text

    def _reject(self, file: File, identity: str, reason: str, detail: str) -> Reject:
        reject = Reject(identity, file.group, reason, well_formed(detail))
        self.reasons[reason] += 1
        self.first = self.first or reject
        return reject


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
    rows, rejects = [], []
    for item in read_each(
        uri, text_column=text_column, label_column=label_column, on_progress=on_progress
    ):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows.append(item)
    return Step(_frame(rows), reject_table("read", rejects))


def read_each(
    uri: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    on_progress: Progress | None = None,
) -> Iterator[Fields | Reject]:
    """The same row by row, for sources larger than memory: of each only its id's digest is kept.

    Raises:
        SourceError: the source cannot be read.
        DataError: a table lacks a column, or no row can be used; said at the end.
    """
    files = list_files(uri)
    with reading(uri):
        sizes = [size(file) for file in files] if on_progress else [0] * len(files)
    sorter, before, whole = _Sorter(text_column, label_column), 0, sum(sizes)
    for file, length in zip(files, sizes, strict=True):
        for row in iter_rows(file, (text_column, label_column), (ID_COLUMN,)):
            yield sorter.sort(file, row)
            if on_progress and row.number % 1000 == 0:
                on_progress(before + row.position, whole)
        before += length
        if on_progress:
            on_progress(before, whole)
    _check(uri, sorter)


def _check(uri: str, sorter: _Sorter) -> None:
    present = list(sorter.columns)
    for column in (sorter.text_column, sorter.label_column):
        if present and column not in present:
            raise missing_column(uri, column, present)
    if sorter.kept:
        return
    if sorter.first is None:
        raise DataError(f"The source {uri!r} is empty.", "Give one with at least one row.")
    [(reason, count)] = sorter.reasons.most_common(1)
    raise DataError(
        f"No row of {uri!r} can be used: {count} of {sorter.reasons.total()} for their {reason!r}, "
        f"the first row for {sorter.first.detail!r}.",
        f"{labels.REMEDY}, or put mails in folders named so." if reason == "label" else "",
    )


def _frame(rows: list[Fields]) -> pd.DataFrame:
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
