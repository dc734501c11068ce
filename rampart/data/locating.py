"""From a place in a mail's text back to the bytes of the mail as it came.

Where a part is not encoded the bytes are those of the very words; where it is (base64,
quoted-printable), or its characters cannot be told apart in bytes, they are the part's whole body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rampart.data.mail import Mail, Piece
from rampart.data.mime import with_plain_newlines

SUBJECT = "subject"
_BOM = b"\xef\xbb\xbf"
# Carriage returns before a line feed that `with_plain_newlines` takes for one line end.
_RETURNS = re.compile(rb"\r{1,3}(?=\n)")
_SUBJECT_FIELD = re.compile(rb"^subject[ \t]{0,200}:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.I | re.M)
_CHARSETS = ("utf-8", "cp1252", "latin-1")


@dataclass(frozen=True, slots=True)
class Location:
    """Where words of a mail's text come from.

    Attributes:
        part: "subject", or the numbers of the part that they are in, as `Piece` has them.
        start: first byte in the mail as it came; -1 where it is not known.
        end: behind the last.
        exact: whether the bytes are those of the words alone, not of all that they are in.
    """

    part: str
    start: int
    end: int
    exact: bool


def locate(mail: Mail, raw: bytes, spans: Iterable[tuple[int, int]]) -> Iterator[Location]:
    """Where spans of `mail.text` come from in the bytes that the mail was read from.

    Args:
        mail: that `rampart.data.mail.parse` read from `raw`.
        raw: as it came.
        spans: offsets of the first character and behind the last; one that reaches over several
            parts is placed in the first of them.
    """
    plain = with_plain_newlines(raw)
    source = plain.removeprefix(_BOM).lstrip(b"\n")
    places = _Places(raw, plain, len(plain) - len(source))
    texts = _Texts(mail, source)
    for start, end in spans:
        part, found, first = texts.of(start)
        if found is None:
            yield Location(part, -1, -1, exact=False)
        else:
            exact = found.charset is not None
            yield Location(part, *places(*found.span(first, end - start)), exact=exact)


class _Texts:
    """The mail's texts, each found in the bytes that it was read from at most once."""

    def __init__(self, mail: Mail, source: bytes) -> None:
        self._mail = mail
        self._source = source
        self._found: dict[str, _Found | None] = {}

    def of(self, start: int) -> tuple[str, _Found | None, int]:
        """Part, text and place that a character of the mail's text is in, and its offset there."""
        mail = self._mail
        if mail.subject and start < len(mail.subject):
            if SUBJECT not in self._found:
                field = _SUBJECT_FIELD.search(self._source)
                self._found[SUBJECT] = (
                    _found(mail.subject, self._source, *field.span(1)) if field else None
                )
            return SUBJECT, self._found[SUBJECT], start
        offset = start - mail.body_at
        piece = _piece(mail, offset)
        if piece is None:
            return "", None, 0
        key = f"{piece.part} {piece.first}"
        if key not in self._found:
            self._found[key] = _found(piece.text, self._source, piece.start, piece.end)
        return piece.part, self._found[key], max(0, offset - piece.first)


@dataclass(frozen=True, slots=True)
class _Found:
    """A text, and the bytes that hold it: its own in a charset, or all that it is in."""

    text: str
    start: int
    end: int
    charset: str | None

    def span(self, first: int, count: int) -> tuple[int, int]:
        if self.charset is None:
            return self.start, self.end
        before, words = self.text[:first], self.text[first : first + count]
        # Most mail is ASCII, whose characters are its bytes.
        begin = self.start + (first if self.text.isascii() else len(before.encode(self.charset)))
        return begin, begin + len(words.encode(self.charset))


def _found(text: str, source: bytes, start: int, end: int) -> _Found:
    for charset in _CHARSETS:
        try:
            whole = text.encode(charset)
        except UnicodeEncodeError:
            continue
        # A piece lost the line feeds around it, a subject the white space.
        at = source.find(whole, start, end)
        if at >= 0:
            return _Found(text, at, at + len(whole), charset)
    return _Found(text, start, end, None)


def _piece(mail: Mail, offset: int) -> Piece | None:
    """The last piece that begins at or before an offset into the body."""
    found = None
    for piece in mail.pieces:
        if found is None or piece.first <= offset:
            found = piece
    return found


class _Places:
    """Bytes of the mail with plain line ends as bytes of the mail as it came."""

    def __init__(self, raw: bytes, plain: bytes, skipped: int) -> None:
        self._skipped = skipped
        self._at: NDArray[np.int64] | None = None
        if len(raw) != len(plain):
            kept = np.ones(len(raw) + 1, dtype=bool)
            for returns in _RETURNS.finditer(raw):
                kept[slice(*returns.span())] = False
            self._at = np.flatnonzero(kept)

    def __call__(self, start: int, end: int) -> tuple[int, int]:
        begin, behind = start + self._skipped, end + self._skipped
        if self._at is None:
            return begin, behind
        # The last byte, not the first behind it: a line end there may have been two bytes.
        last = int(self._at[behind - 1]) + 1 if behind > begin else int(self._at[behind])
        return int(self._at[begin]), last
