"""Rows of a file, one after the other, in memory that does not grow with the file."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rampart.data.reading import reading
from rampart.data.sources.opening import File, open_file, size
from rampart.errors import DataError

LONGEST = 32 * 2**20
"""Bytes that one line or mail may have; what is longer is a problem, not a text."""

_CHUNK = 2**20
_TOO_LONG = f"longer than {LONGEST // 2**20} MiB"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or what is wrong with it.

    Attributes:
        number: from 1; the line in a JSONL file, the row under the header in a CSV file.
        position: bytes of the file, as stored, that were read when the row was.
        values: the columns of a table's row.
        raw: a mail.
        problem: why the row cannot be used; then there is neither `values` nor `raw`.
    """

    number: int
    position: int
    values: dict[str, Any] | None = None
    raw: bytes | None = None
    problem: str | None = None


def missing_column(path: str, column: str, present: Iterable[str]) -> DataError:
    """The error of a table without a column that is needed."""
    there = ", ".join(repr(name) for name in present)
    return DataError(
        f"The table {path!r} has no column {column!r}: it has {there}.",
        "Name the column that is meant.",
    )


def iter_rows(file: File, needed: Sequence[str] = (), wanted: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of a file in order.

    Args:
        file: one of `list_files`.
        needed: columns without which a table is of no use; a JSONL file, whose rows may differ, is
            not held to it.
        wanted: columns that are read where they are there; `values` may lack all others.

    Raises:
        SourceError: the file cannot be read.
        DataError: the file as a whole is not of its format, or lacks a needed column.
    """
    with reading(file.address), open_file(file) as (stored, plain):
        if file.kind == "jsonl":
            yield from _jsonl(file, stored, plain)
        elif file.kind in {"csv", "tsv"}:
            yield from _csv(file, stored, plain, needed)
        elif file.kind == "parquet":
            yield from _parquet(file, plain, needed, wanted)
        elif file.kind == "mbox":
            yield from _mbox(file, stored, plain)
        else:
            raw = plain.read(LONGEST + 1)
            long = len(raw) > LONGEST
            yield Row(1, len(raw), None, None if long else raw, _TOO_LONG if long else None)


def _lines(plain: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends; of a line that is too long the first `LONGEST` + 1 bytes."""
    rest, skipping = b"", False
    while chunk := plain.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if not skipping:
                yield line + b"\n"
            skipping = False
        if len(rest) > LONGEST:
            if not skipping:
                yield rest[: LONGEST + 1]
            rest, skipping = b"", True
        elif skipping:
            rest = b""
    if rest:
        yield rest


def _text_lines(file: File, plain: IO[bytes]) -> Iterator[bytes]:
    """Lines of a file of text without its byte order mark.

    Raises:
        DataError: the file is not in UTF-8, or any charset whose line ends are the same.
    """
    lines = _lines(plain)
    first = next(lines, b"")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"The file {file.address!r} is in UTF-16.", "Save it in UTF-8.")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from lines


def _jsonl(file: File, stored: IO[bytes], plain: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(_text_lines(file, plain), start=1):
        if not line.strip():
            continue
        values, problem = None, None
        try:
            if len(line) > LONGEST:
                problem = _TOO_LONG
            elif not isinstance(values := json.loads(line.decode()), dict):
                problem, values = f"a JSON {type(values).__name__}, not an object", None
        except (ValueError, RecursionError) as error:
            problem = str(error)
        if problem:
            problem = f"line {number}: {problem}"
        yield Row(number, stored.tell(), values, None, problem)


class _CsvLines:
    """Lines for the csv module, which goes on after an error only if its iterator does."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if len(line) > LONGEST:
            raise csv.Error(_TOO_LONG)
        try:
            return line.decode()
        except UnicodeDecodeError:
            return line.decode("cp1252", "replace")


def _check_columns(file: File, needed: Sequence[str], present: Sequence[str]) -> None:
    for column in needed:
        if column not in present:
            raise missing_column(file.address, column, present)


def _csv(file: File, stored: IO[bytes], plain: IO[bytes], needed: Sequence[str]) -> Iterator[Row]:
    # Mails are longer than the csv module's default of 128 KiB; the limit is the process's.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    delimiter = "," if file.kind == "csv" else "\t"
    reader = csv.reader(_CsvLines(_text_lines(file, plain)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        values, problem = None, None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields, problem = [], str(error)
        if not fields and not problem:
            continue
        if header is None:
            if problem:
                raise DataError(
                    f"The header of the table {file.address!r} cannot be read: {problem}.",
                    "Its first line is to name the columns; lines end in LF or CR LF.",
                )
            header = [name.strip() for name in fields]
            _check_columns(file, needed, header)
            continue
        number += 1
        if not problem and len(fields) != len(header):
            problem = f"{len(fields)} fields where the header has {len(header)}"
        if problem:
            problem = f"line {reader.line_num}: {problem}"
        else:
            values = dict(zip(header, fields, strict=True))
        yield Row(number, stored.tell(), values, None, problem)


def _parquet(
    file: File, plain: IO[bytes], needed: Sequence[str], wanted: Sequence[str]
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(plain)
    except pa.ArrowInvalid as error:
        raise DataError(f"The file {file.address!r} is not Parquet: {error}") from error
    present = table.schema_arrow.names
    _check_columns(file, needed, present)
    columns = [name for name in present if name in {*needed, *wanted}]
    whole, number = size(file), 0
    for batch in table.iter_batches(batch_size=256, columns=columns):
        for values in _records(batch):
            number += 1
            problem = None if values is not None else f"row {number}: a string is not in UTF-8"
            yield Row(number, whole * number // table.metadata.num_rows, values, None, problem)


def _records(batch: Any) -> list[dict[str, Any] | None]:
    """Rows of a record batch; None for one that holds a string that is none."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        rows = [batch.slice(index, 1) for index in range(batch.num_rows)]
    if len(rows) == 1:
        return [None]
    return [record for row in rows for record in _records(row)]


# A mail in an mbox starts with a line such as "From ann@example.com Thu Aug 22 12:36:23 2002".
_FROM_WITH_TIME = re.compile(rb"From .*\d\d:\d\d")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


def _mbox(file: File, stored: IO[bytes], plain: IO[bytes]) -> Iterator[Row]:
    """Mails between From lines; where the first has a time, a line without is text."""
    lines = _lines(plain)
    first = next(lines, b"")
    if not first.startswith(b"From "):
        raise DataError(
            f"The file {file.address!r} is not an mbox: it does not start with 'From '.",
            "Export the folder as mbox, or give its mails as .eml files.",
        )
    with_time = _FROM_WITH_TIME.match(first) is not None
    number, mail, length, after_blank = 1, list[bytes](), 0, False
    for line in lines:
        starts = after_blank and line.startswith(b"From ")
        if starts and (not with_time or _FROM_WITH_TIME.match(line)):
            yield _mail(number, stored.tell(), mail, length)
            number, mail, length, after_blank = number + 1, [], 0, False
            continue
        after_blank = line in {b"\n", b"\r\n"}
        length += len(line)
        if length <= LONGEST:
            mail.append(line)
    yield _mail(number, stored.tell(), mail, length)


def _mail(number: int, position: int, lines: list[bytes], length: int) -> Row:
    if length > LONGEST:
        return Row(number, position, problem=f"mail {number}: {_TOO_LONG}")
    return Row(number, position, raw=_QUOTED_FROM.sub(rb"\1", b"".join(lines)))
