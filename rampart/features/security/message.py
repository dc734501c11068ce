"""One text as the parts of the family read it: its words and its tags, each found once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.features.base import Span

# The names alone, so that an address in angle brackets is no tag.
_TAG = re.compile(
    r"<(/?)(html|head|body|title|meta|table|tr|td|th|div|span|p|br|a|b|i|u|font|img|center|h[1-6]"
    r"|ul|ol|li|hr|script|style|form|input|iframe|object|embed|base|area|strong|em|small|big|tt)"
    r"(?=[\s/>])([^<>]*)>",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([A-Za-z][A-Za-z-]{0,40})\s{0,9}=\s{0,9}("[^"]*"|'[^']*'|[^\s"'>]+)""")
# Longer markup is scanned so far and no further: 200,000 characters are fifty screens of tags.
_SCANNED = 200_000


@dataclass(frozen=True)
class Tag:
    """An opening or closing tag in the source.

    Attributes:
        name: in lower case.
        closing: whether it ends an element.
        span: of the whole tag, in the source.
        inside: what follows the name.
        offset: where that begins in the source.
    """

    name: str
    closing: bool
    span: Span
    inside: str
    offset: int

    @cached_property
    def attributes(self) -> Mapping[str, tuple[str, Span]]:
        """Name in lower case to value and its span in the source, quotes taken off."""
        found = {}
        for match in _ATTRIBUTE.finditer(self.inside):
            value, (start, end) = match.group(2), match.span(2)
            if value[0] in "\"'":
                value, start, end = value[1:-1], start + 1, end - 1
            found[match.group(1).lower()] = (value, (self.offset + start, self.offset + end))
        return found


@dataclass(frozen=True)
class Message:
    """A text, and what several features need of it."""

    aligned: AlignedText

    @cached_property
    def words(self) -> list[str]:
        """Words and signs of the clean text in lower case."""
        return list(map(str.lower, self.aligned.words))

    @cached_property
    def word_count(self) -> int:
        """How many of them are words rather than signs."""
        return sum(map(str.isalnum, self.aligned.words))

    @cached_property
    def tags(self) -> Sequence[Tag]:
        """The tags of the source, in order."""
        return [
            Tag(m.group(2).lower(), bool(m.group(1)), m.span(), m.group(3), m.start(3))
            for m in _TAG.finditer(self.aligned.source, 0, _SCANNED)
        ]

    @cached_property
    def subject(self) -> str:
        """The first line of the clean text."""
        return self.aligned.text.partition("\n")[0]

    def rate(self, count: float) -> float:
        """A count for each hundred words."""
        return 100.0 * count / max(self.word_count, 1)

    def in_source(self, spans: Sequence[Span]) -> list[Span]:
        """Spans of the clean text as spans of the source."""
        if not spans:
            return []
        bounds = np.array(spans, dtype=np.int64)
        start, end = self.aligned.to_source(bounds[:, 0], bounds[:, 1])
        return list(zip(start.tolist(), end.tolist(), strict=True))

    def of_words(self, runs: Sequence[Span]) -> list[Span]:
        """Runs of words, by their first and behind their last, as spans of the source."""
        if not runs:
            return []
        bounds, spans = np.array(runs, dtype=np.int64), self.aligned.word_spans
        start, end = self.aligned.to_source(spans[bounds[:, 0], 0], spans[bounds[:, 1] - 1, 1])
        return list(zip(start.tolist(), end.tolist(), strict=True))
