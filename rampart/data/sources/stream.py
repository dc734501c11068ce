"""Texts to score, from data of any size: nothing is held but the row at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rampart.data.mail import parse
from rampart.data.sources.files import row_id, text_of
from rampart.data.sources.opening import list_files
from rampart.data.sources.rows import iter_rows, missing_column


@dataclass(frozen=True, slots=True)
class Record:
    """One text, or why there is none: exactly one of `text` and `problem` is set.

    Attributes:
        id: the row's id, or its file and number.
        text: the text as it stands; of a mail its subject, an empty line and its body.
        problem: what is wrong with the row.
    """

    id: str
    text: str | None
    problem: str | None


def stream_texts(uri: str, *, text_column: str = "text", id_column: str = "id") -> Iterator[Record]:
    """Read texts one by one; a row that cannot be used comes as a record that says why.

    Raises:
        SourceError: the source cannot be read.
        DataError: its format is unknown, or its first row lacks the text's column.
    """
    for file in list_files(uri):
        seen = False
        for row in iter_rows(file, (text_column,), (id_column,)):
            identity = row_id(file, row, id_column)
            if row.raw is not None:
                yield Record(identity, parse(row.raw).text, None)
                continue
            if row.values is not None and not seen:
                seen = True
                if text_column not in row.values:
                    raise missing_column(uri, text_column, list(row.values))
            text, why = text_of(row, text_column)
            problem = row.problem or (f"{text_column!r} is {why}" if why else None)
            yield Record(identity, None if problem else text, problem)
