"""What words are worth in a text: the sum of their spans there, whatever the spans' spelling."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rampart.data.cleaning import clean
from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.models.base import Floats

# A longer word, or run of words, is known by its beginning.
_LONGEST = 64

# A text's words, each with what it is worth there and by how many spans.
Row = dict[str, tuple[float, int]]


def word_values(text: str, attribution: Attribution) -> dict[str, tuple[float, int]]:
    """What each word of a text is worth, and by how many spans.

    A word is what a reader sees of a span: without the tags in it, in lower case and in Unicode's
    compatibility form (NFKC). What no reader sees, as the address behind a link, stands as sent.
    Whitespace in it is one space, alone it is `(space)`; of more than 64 characters the first 64
    stand for it.

    Raises:
        InputError: the explanation is of another text.
    """
    attribution.check(text)
    aligned = clean(text)
    first = np.searchsorted(aligned.starts, attribution.start, side="left").tolist()
    behind = np.searchsorted(aligned.starts, attribution.end, side="left").tolist()
    found: dict[str, tuple[float, int]] = {}
    spans = zip(attribution.start.tolist(), attribution.end.tolist(), first, behind, strict=True)
    for (start, end, low, high), value in zip(spans, attribution.value.tolist(), strict=True):
        word = _folded(aligned.text[low : min(high, low + _LONGEST)])
        word = word or _folded(text[start : min(end, start + _LONGEST)]) or "(space)"
        before, count = found.get(word, (0.0, 0))
        found[word] = before + value, count + 1
    return found


def word_rows(explained: Iterable[tuple[str, Attribution]]) -> tuple[str, list[Row]]:
    """The method of all explanations, and the words of each text.

    Raises:
        InputError: an explanation is of another text, or of another method than the first.
    """
    method: str | None = None
    rows = []
    for text, attribution in explained:
        method = attribution.method if method is None else method
        if attribution.method != method:
            raise InputError(
                f"Explanations by {method} and by {attribution.method} do not add up.",
                "Aggregate each method by itself.",
            )
        rows.append(word_values(text, attribution))
    return method or "", rows


def _folded(piece: str) -> str:
    # One sign's compatibility form may be of eighteen.
    return " ".join(unicodedata.normalize("NFKC", piece).casefold().split())[:_LONGEST]


def worth(row: Row) -> dict[str, float]:
    """What each word of a text is worth."""
    return {word: value for word, (value, _) in row.items()}


def totals(rows: Iterable[Mapping[str, float]]) -> tuple[Counter[str], dict[str, float]]:
    """How many rows hold each word, and the sum of its values."""
    held: Counter[str] = Counter()
    total: dict[str, float] = {}
    for row in rows:
        held.update(row.keys())
        for word, value in row.items():
            total[word] = total.get(word, 0.0) + value
    return held, total


def strongest(
    size: Mapping[str, float], held: Mapping[str, int], most: int, fewest_texts: int
) -> list[str]:
    """Words by falling size; those of one size by name, so that the order is always the same."""
    known = [word for word in size if held[word] >= fewest_texts]
    return sorted(known, key=lambda word: (-size[word], word))[: max(0, most)]


def dense(rows: Sequence[Mapping[str, float]], words: Sequence[str]) -> tuple[Floats, Floats]:
    """Values of the words in each row, [n, w], and 1 where a row holds one."""
    column = {word: at for at, word in enumerate(words)}
    value, present = np.zeros((len(rows), len(words))), np.zeros((len(rows), len(words)))
    for at, row in enumerate(rows):
        for word in row.keys() & column.keys():
            value[at, column[word]] = row[word]
            present[at, column[word]] = 1.0
    return value, present
