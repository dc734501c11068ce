"""One raw mail to the text that a reader sees first: no bytes make it fail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

from rampart.data.mime import Part, decode_field, read_part, with_plain_newlines

DEEPEST = 12
"""Levels of parts within parts that are told apart; what is deeper is read as it stands."""

MOST_PARTS = 1000
"""Parts of one mail that are read; the others are left out."""

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
    """

    subject: str
    body: str
    has_html: bool
    attachments: tuple[str, ...]
    arrived: datetime | None

    @property
    def text(self) -> str:
        """Subject, an empty line and body, as a client sends it; without a subject the body."""
        return f"{self.subject}\n\n{self.body}" if self.subject else self.body.lstrip("\n")


def parse(raw: bytes) -> Mail:
    """Read a mail in time linear in its length.

    Args:
        raw: an RFC 5322 message, or anything that was taken for one; never raises.
    """
    source = with_plain_newlines(bytes(raw)).removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
    whole = read_part(source)
    reading = _Reading()
    body = _joined(reading.pieces(whole))
    return Mail(
        subject=decode_field(whole.fields.get(b"subject", b"")),
        body=body,
        has_html=reading.has_html,
        attachments=tuple(reading.attachments),
        arrived=_arrival(whole.fields.get(b"received", b"")),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    html: bool


@dataclass
class _Reading:
    """Walks a mail's parts and notes what else there is beside text."""

    attachments: list[str] = field(default_factory=list)
    has_html: bool = False
    parts_left: int = MOST_PARTS

    def pieces(self, part: Part, depth: int = 0) -> list[_Piece]:
        """Texts of a part and of all in it that are meant to be shown."""
        kind = part.content_type
        nested = kind.startswith("message/") and kind not in _UNREAD
        if kind.startswith("multipart/") and depth < DEEPEST:
            return self._of_children(part, depth)
        if nested and part.file_name:
            self.attachments.append(part.file_name)
        if nested and depth < DEEPEST:
            return self._of_message(part, depth)
        if nested or kind.startswith("multipart/"):
            return _texts(part.text(), html=False)
        if part.attached or not kind.startswith("text/"):
            self.attachments.append(part.file_name or kind)
            return []
        if kind in _UNREAD:
            return []
        text = part.text()
        html = kind in {"text/html", "text/xhtml"} or _HTML_BODY.match(text) is not None
        self.has_html |= html
        return _texts(text, html=html)

    def _of_children(self, part: Part, depth: int) -> list[_Piece]:
        each: list[list[_Piece]] = []
        for child in part.children():
            if self.parts_left <= 0:
                break
            self.parts_left -= 1
            each.append(self.pieces(child, depth + 1))
        if not each and self.parts_left > 0:
            # Without boundaries it is no multipart, whatever its head says.
            text = part.text()
            html = _HTML_BODY.match(text) is not None
            self.has_html |= html
            return _texts(text, html=html)
        if part.content_type == "multipart/alternative":
            return _preferred(each)
        return [piece for pieces in each for piece in pieces]

    def _of_message(self, part: Part, depth: int) -> list[_Piece]:
        if part.is_encoded():
            message = read_part(with_plain_newlines(part.content()).lstrip(b"\n"))
        else:
            message = read_part(part.source, part.start, part.end)
        subject = decode_field(message.fields.get(b"subject", b""))
        return [*_texts(subject, html=False), *self.pieces(message, depth + 1)]


def _texts(text: str, *, html: bool) -> list[_Piece]:
    return [] if not text or text.isspace() else [_Piece(text, html)]


def _joined(pieces: Sequence[_Piece]) -> str:
    if len(pieces) == 1:
        return pieces[0].text
    return "\n\n".join(piece.text.strip("\n") for piece in pieces)


def _preferred(alternatives: Sequence[list[_Piece]]) -> list[_Piece]:
    """Of the ways to say the same, the plain one, unless it hardly says it."""
    plain = [pieces for pieces in alternatives if not any(piece.html for piece in pieces)]
    html = [pieces for pieces in alternatives if any(piece.html for piece in pieces)]
    best_plain = max(plain, key=_visible, default=[])
    best_html = max(html, key=_visible, default=[])
    if _visible(best_plain) >= _NEAR_EMPTY or _visible(best_plain) >= _visible(best_html):
        return best_plain or best_html
    return best_html


def _visible(pieces: Sequence[_Piece]) -> int:
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
