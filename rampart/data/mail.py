"""One raw mail to the text that a reader sees first: no bytes make it fail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

from rampart.data.mime import Part, decode_field, read_part, with_plain_newlines

DEEPEST = 12
"""Levels of parts within parts that are told apart; what is deeper is read as it stands."""

MOST_PARTS = 1000
"""Parts of one mail that are read; the others are left out."""

_BETWEEN = "\n\n"
# A plain part with less than this, beside HTML that says more, is there for form's sake.
_NEAR_EMPTY = 32
_LONGEST_OFFSET = timedelta(hours=15)
_YEARS = range(1990, 2101)
_TAG = re.compile(r"<[^<>]*>")
_HTML_BODY = re.compile(r"\s{0,200}<(?:!doctype\s{1,20}html|html)\b", re.IGNORECASE)
# What programs say to programs, and the heads of other mails.
_UNREAD = frozenset(
    {
        "message/delivery-status",
        "message/disposition-notification",
        "message/external-body",
        "text/rfc822-headers",
    }
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the body, and where in the mail it comes from.

    Attributes:
        text: as it stands in the body.
        html: whether it is HTML.
        part: numbers of the part and of those that it is in, as IMAP has them: "2.1" is the first
            part of the second; the whole mail's is "1" where it has no parts.
        start: where the part's body begins in the mail with plain line ends, in bytes; of a part
            in an encoded mail within the mail, that mail's.
        end: behind it.
        first: where the text begins in the body, in characters.
    """

    text: str
    html: bool
    part: str
    start: int
    end: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Mail:
    """What is read of a mail.

    Attributes:
        subject: decoded, on one line; empty if there is none.
        body: the text parts in order, of alternatives the plain one unless it says next to nothing;
            HTML is left as it came. Lines end in line feeds.
        has_html: whether a part that is meant to be shown is HTML.
        attachments: names of the parts that are not text, the content type where one has no name.
        arrived: in UTC, by the top-most Received field, the only one that no sender can forge;
            None if there is none that can be read.
        pieces: that the body is put together from, in order.
    """

    subject: str
    body: str
    has_html: bool
    attachments: tuple[str, ...]
    arrived: datetime | None
    pieces: tuple[Piece, ...] = ()

    @property
    def text(self) -> str:
        """Subject, an empty line and body, as a client sends it; without a subject the body."""
        return f"{self.subject}{_BETWEEN}{self.body}" if self.subject else self.body.lstrip("\n")

    @property
    def body_at(self) -> int:
        """Where the body's first character stands in the text; under 0 where it is not in it."""
        if self.subject:
            return len(self.subject) + len(_BETWEEN)
        return len(self.body.lstrip("\n")) - len(self.body)


def parse(raw: bytes) -> Mail:
    """Read a mail in time linear in its length.

    Args:
        raw: an RFC 5322 message, or anything that was taken for one; never raises.
    """
    source = with_plain_newlines(bytes(raw)).removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
    whole = read_part(source)
    reading = _Reading()
    body, pieces = _joined(reading.pieces(whole, _Place("", whole.start, whole.end)))
    return Mail(
        subject=decode_field(whole.fields.get(b"subject", b"")),
        body=body,
        has_html=reading.has_html,
        attachments=tuple(reading.attachments),
        arrived=_arrival(whole.fields.get(b"received", b"")),
        pieces=pieces,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part is: its numbers, and its body's bytes in the mail."""

    part: str
    start: int
    end: int
    encoded: bool = False

    def of(self, number: int, child: Part) -> _Place:
        """The place of a part in it; of an encoded mail's parts none is known but the whole."""
        part = f"{self.part}.{number}".lstrip(".")
        if self.encoded:
            return replace(self, part=part)
        return _Place(part, child.start, child.end)

    def texts(self, text: str, *, html: bool) -> list[Piece]:
        """The text as a piece; none of what says nothing."""
        if not text or text.isspace():
            return []
        return [Piece(text, html, self.part or "1", self.start, self.end)]


@dataclass
class _Reading:
    """Walks a mail's parts and notes what else there is beside text."""

    attachments: list[str] = field(default_factory=list)
    has_html: bool = False
    parts_left: int = MOST_PARTS

    def pieces(self, part: Part, place: _Place, depth: int = 0) -> list[Piece]:
        """Texts of a part and of all in it that are meant to be shown."""
        kind = part.content_type
        nested = kind.startswith("message/") and kind not in _UNREAD
        if kind.startswith("multipart/") and depth < DEEPEST:
            return self._of_children(part, place, depth)
        if nested and part.file_name:
            self.attachments.append(part.file_name)
        if nested and depth < DEEPEST:
            return self._of_message(part, place, depth)
        if nested or kind.startswith("multipart/"):
            return place.texts(part.text(), html=False)
        if part.attached or not kind.startswith("text/"):
            self.attachments.append(part.file_name or kind)
            return []
        if kind in _UNREAD:
            return []
        text = part.text()
        html = kind in {"text/html", "text/xhtml"} or _HTML_BODY.match(text) is not None
        self.has_html |= html
        return place.texts(text, html=html)

    def _of_children(self, part: Part, place: _Place, depth: int) -> list[Piece]:
        each: list[list[Piece]] = []
        for number, child in enumerate(part.children(), 1):
            if self.parts_left <= 0:
                break
            self.parts_left -= 1
            each.append(self.pieces(child, place.of(number, child), depth + 1))
        if not each and self.parts_left > 0:
            # Without boundaries it is no multipart, whatever its head says.
            text = part.text()
            html = _HTML_BODY.match(text) is not None
            self.has_html |= html
            return place.texts(text, html=html)
        if part.content_type == "multipart/alternative":
            return _preferred(each)
        return [piece for pieces in each for piece in pieces]

    def _of_message(self, part: Part, place: _Place, depth: int) -> list[Piece]:
        if part.is_encoded():
            message = read_part(with_plain_newlines(part.content()).lstrip(b"\n"))
        else:
            message = read_part(part.source, part.start, part.end)
        if part.is_encoded() or place.encoded:
            inner = replace(place, encoded=True)
        else:
            inner = replace(place, start=message.start, end=message.end)
        subject = decode_field(message.fields.get(b"subject", b""))
        # Its subject lies in its head, which is a part of this one's body.
        return [*place.texts(subject, html=False), *self.pieces(message, inner, depth + 1)]


def _joined(pieces: Sequence[Piece]) -> tuple[str, tuple[Piece, ...]]:
    """The body, and its pieces as they stand in it."""
    if len(pieces) == 1:
        return pieces[0].text, tuple(pieces)
    placed: list[Piece] = []
    first = 0
    for piece in pieces:
        text = piece.text.strip("\n")
        placed.append(replace(piece, text=text, first=first))
        first += len(text) + len(_BETWEEN)
    return _BETWEEN.join(piece.text for piece in placed), tuple(placed)


def _preferred(alternatives: Sequence[list[Piece]]) -> list[Piece]:
    """Of the ways to say the same, the plain one, unless it hardly says it."""
    plain = [pieces for pieces in alternatives if not any(piece.html for piece in pieces)]
    html = [pieces for pieces in alternatives if any(piece.html for piece in pieces)]
    best_plain = max(plain, key=_visible, default=[])
    best_html = max(html, key=_visible, default=[])
    if _visible(best_plain) >= _NEAR_EMPTY or _visible(best_plain) >= _visible(best_html):
        return best_plain or best_html
    return best_html


def _visible(pieces: Sequence[Piece]) -> int:
    """How many characters there are to read, about."""
    texts = (_TAG.sub("", piece.text) if piece.html else piece.text for piece in pieces)
    return sum(len("".join(text.split())) for text in texts)


def _arrival(received: bytes) -> datetime | None:
    # The date stands behind the last semicolon, unless a remark behind it has one too.
    for piece in reversed(received.decode("latin-1").split(";")[-4:]):
        if (found := _date(" ".join(piece[:200].split()))) is not None:
            return found
    return None


def _date(text: str) -> datetime | None:
    """A date as mails write it, in UTC; a time zone that there cannot be counts as UTC."""
    try:
        fields = parsedate_tz(text)
        if fields is None:
            return None
        year, month, day, hour, minute, second = fields[:6]
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
        offset = timedelta(seconds=fields[9] or 0)
        arrived = local - offset if abs(offset) < _LONGEST_OFFSET else local
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return arrived if arrived.year in _YEARS else None
