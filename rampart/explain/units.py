"""The words that a text is explained in, and what is left of the text without some of them.

A word is taken out of the text as it was sent, character by character: the tags around it and in
it stay, so that what is scored is the same document with fewer words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import clean
from rampart.features.base import Floats
from rampart.models.base import Ints

# A longer word is taken apart in pieces of so many characters, as contributions are shown.
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Units:
    """A text in m words or runs of words, which methods take away and put back.

    Attributes:
        source: the text as it was sent.
        start: offset of each unit in it, in code points, int64 [m]; ascending.
        end: offset behind it, int64 [m]; no two units overlap.
        first: index of each unit's first word, int64 [m]; without grouping, 0 to m - 1.
        segments: the source, cut up.
        owners: the unit that each segment belongs to, or m for what always stays.
    """

    source: str
    start: Ints
    end: Ints
    first: Ints
    segments: tuple[str, ...]
    owners: Ints

    @classmethod
    def of(cls, text: str, limit: int | None = None) -> Units:
        """The words and signs of a text as sent.

        Args:
            text: any text.
            limit: how many units at the most; where there are more words, neighbours are grouped
                into runs of about the same number, so that none is left out.
        """
        start, end, word = _pieces(text)
        words = int(word[-1]) + 1 if len(word) else 0
        count = words if limit is None else min(words, max(1, limit))
        unit = word * count // max(1, words)
        heads = np.flatnonzero(np.diff(unit, prepend=-1))
        tails = np.append(heads[1:], len(unit))[: len(heads)] - 1
        segments, owners = _segments(text, start, end, unit, count)
        return cls(text, start[heads], end[tails], word[heads], segments, owners)

    def __len__(self) -> int:
        return len(self.start)

    def kept(self, keep: NDArray[np.bool_]) -> str:
        """The text with those units alone that `keep` [m] says; all that is no unit stays."""
        stays = np.append(keep, True)[self.owners].tolist()
        return "".join([part for part, stay in zip(self.segments, stays, strict=True) if stay])

    def texts(self, keeps: Iterable[NDArray[np.bool_]]) -> list[str]:
        """`kept` for each of several choices."""
        return [self.kept(keep) for keep in keeps]

    def values(self, start: Ints, end: Ints, value: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Bring spans of the source onto the units.

        A span's value is shared evenly by the units that it touches; a span that touches none, as
        an address behind a link does, is left out.

        Returns:
            Values, float64 [m], and which units any span touches, bool [m].
        """
        first = np.searchsorted(self.end, start, side="right")
        counts = np.maximum(np.searchsorted(self.start, end, side="left") - first, 0)
        share = np.divide(value, counts, out=np.zeros(len(value)), where=counts > 0)
        steps, touched = np.zeros(len(self) + 1), np.zeros(len(self) + 1, dtype=np.int64)
        for at, sign in ((first, 1), (first + counts, -1)):
            np.add.at(touched, at, sign)
        inside = np.cumsum(touched)[:-1] > 0
        # Spans rarely touch many units, so they are added one to one rather than by differences,
        # which would leave rounding where nothing was.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        np.add.at(steps, np.repeat(first, counts) + within, np.repeat(share, counts))
        return steps[:-1], inside


def _pieces(text: str) -> tuple[Ints, Ints, Ints]:
    """Source spans of the words' characters, and the word that each belongs to, each int64 [c].

    Characters that one entity stands for share its span; words that would are one.
    """
    aligned = clean(text)
    spans = aligned.word_spans
    sizes = spans[:, 1] - spans[:, 0]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at = np.repeat(spans[:, 0], sizes) + within
    start, end = aligned.starts[at], aligned.ends[at]
    apart = start >= np.concatenate([[0], end[:-1]])[: len(start)]
    word = np.cumsum(apart & (within % _LONGEST == 0)) - 1
    return start, end, word


def _segments(
    text: str, start: Ints, end: Ints, unit: Ints, count: int
) -> tuple[tuple[str, ...], Ints]:
    """Cut a text where it passes from one unit, or from what is none, to another."""
    if not len(start):
        return (text,), np.array([count])
    before = np.append(0, end[:-1])
    opens = (start > before) | (np.diff(unit, prepend=-1) > 0)
    heads = np.flatnonzero(opens)
    tails = np.append(heads[1:], len(start)) - 1
    cuts = np.stack([start[heads], end[tails]], axis=1).ravel().tolist()
    edges = [0, *cuts, len(text)]
    segments = tuple(text[a:b] for a, b in pairwise(edges))
    owners = np.full(len(segments), count)
    owners[1::2] = unit[heads]
    return segments, owners
