"""The structure of a mail: header fields and parts, read from any bytes in linear time.

The standard library's parser is not used for it: it recurses once per level of nesting, tries each
line against every open boundary, and its newer policy raises on some broken headers. What the
standards say of a well-formed mail (RFC 2045 to 2047, 2231 and 5322) holds here too; of a broken
one as much is read as a mail program would show.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote_to_bytes

from rampart.data.charsets import decode

MOST_FIELDS = 5000
"""Header fields that one part may have; what follows them is read as its body."""

_LONGEST_VALUE = 16 * 2**10
# All that is read of a head; the first of each name counts.
_KNOWN = frozenset(
    {b"subject", b"received", b"content-type", b"content-disposition", b"content-transfer-encoding"}
)
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]{0,200}:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
# What an mbox puts above a mail, and what comes of it among its headers.
_ENVELOPE = re.compile(rb">?From [^\n]*\d\d:\d\d[^\n]*(?:\n|\Z)")
_TYPE = re.compile(r"\s*([\w.+-]{1,100}/[\w.+-]{1,100})", re.ASCII)
_PARAMETER = re.compile(
    r'[;\s]([\w!#$&.+^-]{1,100})(\*\d{1,3})?(\*)?\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))',
    re.ASCII | re.DOTALL,
)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^\n]{0,2000}?)\?=(\s+(?==\?))?")
_GUESSED_BOUNDARY = re.compile(rb"\n--(\S[^\n]{0,200})\n[A-Za-z-]{1,40}:")
_META_CHARSET = re.compile(
    rb"<meta[^<>]{0,300}charset\s{0,9}=[\s\"']{0,9}([\w-]{1,60})", re.IGNORECASE
)
# Mailing lists write their footers in plain behind whatever there is.
_PLAIN_WORDS = re.compile(rb"[A-Za-z][ \t][A-Za-z]|[-_]{2}")
_BASE64_LINE = 60
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          b"0123456789+/="))  # fmt: skip


def with_plain_newlines(content: bytes) -> bytes:
    """The bytes with line ends of every kind, also doubled carriage returns, as line feeds."""
    if b"\r" not in content:
        return content
    return content.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@dataclass(frozen=True)
class Part:
    """One entity of a mail: the mail itself, or a part of it.

    Attributes:
        source: the bytes that it lies in, with line feeds alone as line ends.
        start: where its body starts.
        end: behind its body's last byte.
        fields: values of the header fields that are known here, by name in lower case.
        default_type: its type if its head names none.
    """

    source: bytes
    start: int
    end: int
    fields: dict[bytes, bytes]
    default_type: str = "text/plain"

    @cached_property
    def content_type(self) -> str:
        """Type and subtype in lower case; the default where the head names none."""
        found = _TYPE.match(self._field(b"content-type"))
        return found.group(1).lower() if found else self.default_type

    @cached_property
    def attached(self) -> bool:
        """Whether the part is to be kept as a file, not shown."""
        disposition = self._field(b"content-disposition")
        return disposition.lstrip().lower().startswith("attachment")

    @cached_property
    def file_name(self) -> str:
        """The file's name as decoded, without line ends and controls; empty if there is none."""
        for field, name in ((b"content-disposition", "filename"), (b"content-type", "name")):
            found = _joined(_parameters(self._field(field)), name)
            plain = "".join(letter if letter.isprintable() else " " for letter in found)
            if shown := " ".join(plain.split())[:255]:
                return shown
        return ""

    def text(self) -> str:
        """The body as text, transfer encoding and charset undone, lines ended by line feeds."""
        found = _parameters(self._field(b"content-type")).get("charset")
        content = self.content()
        charset = _token(found[0][2]) if found else ""
        if not charset and (meta := _META_CHARSET.search(content, 0, 4096)):
            charset = meta.group(1).decode("ascii")
        text = decode(content, charset)
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

    def content(self) -> bytes:
        """The body's bytes with the transfer encoding undone, as far as that can be done."""
        body = self.source[self.start : self.end]
        encoding = self._field(b"content-transfer-encoding").strip().lower()
        if encoding.startswith("quoted-printable"):
            return binascii.a2b_qp(body)
        return _from_base64(body) if encoding.startswith("base64") else body

    def is_encoded(self) -> bool:
        """Whether the body has a transfer encoding."""
        encoding = self._field(b"content-transfer-encoding").strip().lower()
        return encoding.startswith(("quoted-printable", "base64"))

    def children(self) -> Iterator[Part]:
        """Parts of a multipart body in order; none where no boundary is found in it."""
        kind = "message/rfc822" if self.content_type == "multipart/digest" else "text/plain"
        for start, end in self._spans():
            yield read_part(self.source, start, end, default_type=kind)

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Where the parts stand; text before the first and behind the last is not shown."""
        # The first boundary's line end may be the one that parts the head from the body.
        start = max(0, self.start - 1)
        found = _parameters(self._field(b"content-type")).get("boundary")
        boundary = found[0][2].rstrip().encode("latin-1", "replace") if found else b""
        line = _boundary_line(boundary)
        if not boundary or line.search(self.source, start, self.end) is None:
            guess = _GUESSED_BOUNDARY.search(self.source, start, self.end)
            if guess is None:
                return
            line = _boundary_line(guess.group(1).rstrip())
        opened = None
        for mark in line.finditer(self.source, start, self.end):
            if opened is not None:
                yield opened, max(opened, mark.start())
            opened = min(mark.end() + 1, self.end)
            if mark.group(1):
                return
        if opened is not None:
            yield opened, self.end

    def _field(self, name: bytes) -> str:
        return self.fields.get(name, b"").decode("latin-1")


def read_part(
    source: bytes, start: int = 0, end: int | None = None, *, default_type: str = "text/plain"
) -> Part:
    """Read the head of the part that stands in source[start:end]."""
    end = len(source) if end is None else end
    if envelope := _ENVELOPE.match(source, start, end):
        start = envelope.end()
    fields: dict[bytes, bytes] = {}
    for _ in range(MOST_FIELDS):
        field = _FIELD.match(source, start, end) or _ENVELOPE.match(source, start, end)
        if field is None:
            break
        start = field.end()
        name = (field.lastindex and field.group(1).lower()) or b""
        if name in _KNOWN and name not in fields:
            value_start, value_end = field.span(2)
            fields[name] = source[value_start : min(value_end, value_start + _LONGEST_VALUE)]
    if start < end and source[start] == 0x0A:
        start += 1
    return Part(source, start, end, fields, default_type)


def decode_field(value: bytes) -> str:
    """Text of a header field: encoded words decoded, also broken ones, and on one line."""
    return " ".join(_decode_words(decode(value[:_LONGEST_VALUE])).split())


def _decode_words(text: str) -> str:
    """Encoded words replaced; the bytes of neighbours in one charset are decoded together."""
    pieces: list[str] = []
    charset, held, position = "", b"", 0
    for word in _ENCODED_WORD.finditer(text):
        name = word.group(1).partition("*")[0].lower()
        if held and (name != charset or word.start() != position):
            pieces.append(decode(held, charset))
            held = b""
        pieces.append(text[position : word.start()])
        charset, position = name, word.end()
        content = word.group(3).encode("utf-8", "replace")
        if word.group(2) in "bB":
            held += _from_base64(content)
        else:
            held += binascii.a2b_qp(content, header=True)
    return "".join([*pieces, decode(held, charset), text[position:]])


def _boundary_line(boundary: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\n|\Z)")


# Of one name: the number of each piece, whether it is percent-encoded, and what it says.
_Pieces = dict[str, list[tuple[int, bool, str]]]


def _parameters(value: str) -> _Pieces:
    found: _Pieces = {}
    for match in _PARAMETER.finditer(value):
        name, number, extended, quoted, bare = match.groups()
        text = bare.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        piece = (int(number[1:]) if number else -1, extended is not None, text)
        found.setdefault(name.lower(), []).append(piece)
    return found


def _token(value: str) -> str:
    return (value.split() or [""])[0]


def _joined(parameters: _Pieces, name: str) -> str:
    """A parameter's text; one in several pieces, or percent-encoded, after RFC 2231."""
    pieces = sorted(parameters.get(name, []), key=lambda piece: piece[0])
    extended = any(piece[1] for piece in pieces)
    if not extended:
        whole = [text for number, _, text in pieces if number >= 0]
        text = "".join(whole) or (pieces[0][2] if pieces else "")
        return decode_field(text.encode("latin-1", "replace"))
    charset, _, rest = "".join(text for _, _, text in pieces).partition("'")
    return decode(unquote_to_bytes(rest.partition("'")[2].encode("latin-1", "replace")), charset)


def _from_base64(body: bytes) -> bytes:
    """Decode what is base64 in a body; a body that is not base64 comes back as it is."""
    words = _PLAIN_WORDS.search(body)
    before = body[: max(0, body.rfind(b"\n", 0, words.start()))] if words else b""
    body = before if len(before) >= _BASE64_LINE else body
    head = body.lstrip()[:300].replace(b"\n", b"").partition(b"=")[0]
    if len(head.translate(None, _NOT_BASE64)) < 0.9 * len(head):
        return body
    letters = body.translate(None, _NOT_BASE64).partition(b"=")[0]
    # A single letter more than whole quads is six bits of nothing.
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
