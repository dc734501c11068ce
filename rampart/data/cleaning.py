"""What the models see of a text, with the way back to the text as it was sent.

Training and serving call the same `clean`. It takes away what tells where a text came from
rather than what it says (reply marks, quoted lines, mailing-list tags and footers) and what a
reader never sees (HTML markup, scripts, zero-width characters), and it remembers for each
character that stays where it stood, so that a span can be shown in the sender's own text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]


# Signs count as words: money, emphasis, rules and boxes tell much in this trade.
_PIECE = re.compile(r"[^\w\s]|\w+|\s+")


@dataclass(frozen=True)
class AlignedText:
    """A cleaned text and, for each of its characters, the source characters it stands for.

    Attributes:
        text: the cleaned text.
        starts: offset of the first source character, one for each character of `text`.
        ends: offset behind the last source character, one for each character of `text`.
        source: the text as it was sent.
    """

    text: str
    starts: Offsets
    ends: Offsets
    source: str

    @classmethod
    def plain(cls, text: str) -> AlignedText:
        """A text that is taken as it is, clean or not."""
        starts = np.arange(len(text), dtype=np.int64)
        return cls(text, starts, starts + 1, text)

    @cached_property
    def words(self) -> list[str]:
        """The words and signs of `text`, in order: what models read and explanations count in."""
        return list(compress(self._pieces, self._seen.tolist()))

    @cached_property
    def word_spans(self) -> Offsets:
        """Spans [start, end) of the words in `text`, int64 [m, 2].

        Pieces leave no gap, so their lengths say where they lie, several times faster than asking
        match by match.
        """
        ends = np.cumsum(np.fromiter(map(len, self._pieces), np.int64, len(self._pieces)))
        return np.stack([np.append(0, ends[:-1])[: len(ends)], ends], axis=1)[self._seen]

    @cached_property
    def _pieces(self) -> list[str]:
        pieces: list[str] = _PIECE.findall(self.text)
        return pieces

    @cached_property
    def _seen(self) -> NDArray[np.bool_]:
        return ~np.fromiter(map(str.isspace, self._pieces), np.bool_, len(self._pieces))

    def to_source(self, start: Offsets, end: Offsets) -> tuple[Offsets, Offsets]:
        """Source offsets of the non-empty spans [start, end) of `text`."""
        return self.starts[start], self.ends[end - 1]


def clean(source: str) -> AlignedText:
    """Clean a text of any kind; every step is linear in its length.

    The first line is read as the subject, as in "subject, empty line, body"; a text without one
    loses nothing by it, since only reply marks and list tags are taken off there.
    """
    visible = _visible(source) if _HTML.search(source) else AlignedText.plain(source)
    return _without_residue(visible)


# --- HTML -------------------------------------------------------------------------------------

_HTML = re.compile(
    r"<(?:!doctype|html|head|body|title|meta|table|tr|td|div|span|p|br|a|b|i|font|img|center|h[1-6]"
    r"|ul|li|hr|script|style|form|input)(?=[\s/>])",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|&(?=[A-Za-z#])")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)")
_UNSEEN = re.compile(r"</(?:script|style)\s*>", re.IGNORECASE)
# Tags inside a word do not part it: spam writes mo<b></b>ney.
_INLINE = frozenset({"a", "b", "big", "em", "font", "i", "s", "small", "span", "strong", "u", "tt"})


class _Pieces:
    """Collects what stays of a source, in order; arrays are made once, at the end."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.text: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.kept: list[bool] = []

    def keep(self, start: int, end: int) -> None:
        if start < end:
            self._add(start, end, self.source[start:end], kept=True)

    def replace(self, start: int, end: int, by: str) -> None:
        if by:
            self._add(start, end, by, kept=False)

    def _add(self, start: int, end: int, text: str, *, kept: bool) -> None:
        self.text.append(text)
        self.starts.append(start)
        self.ends.append(end)
        self.kept.append(kept)

    def joined(self) -> AlignedText:
        lengths = np.array([len(text) for text in self.text], dtype=np.int64)
        first = np.repeat(np.cumsum(lengths) - lengths, lengths)
        within = np.arange(len(first), dtype=np.int64) - first
        kept = np.repeat(np.array(self.kept, dtype=bool), lengths)
        start = np.repeat(np.array(self.starts, dtype=np.int64), lengths)
        end = np.repeat(np.array(self.ends, dtype=np.int64), lengths)
        starts = np.where(kept, start + within, start)
        ends = np.where(kept, starts + 1, end)
        return AlignedText("".join(self.text), starts, ends, self.source)


def _entity(pieces: _Pieces, start: int) -> int:
    """Add what an ampersand stands for; gives where the source goes on."""
    match = _ENTITY.match(pieces.source, start)
    if match is None:
        pieces.keep(start, start + 1)
        return start + 1
    read = html.unescape(match.group())
    if read == match.group():
        pieces.keep(start, match.end())
    else:
        pieces.replace(start, match.end(), read)
    return match.end()


def _visible(source: str) -> AlignedText:
    """The text that a browser would show, without markup."""
    pieces = _Pieces(source)
    closings = _UNSEEN.finditer(source)
    closing = next(closings, None)
    last_tag_end, last_comment_end = source.rfind(">"), source.rfind("-->")
    position = 0
    while (mark := _MARKUP.search(source, position)) is not None:
        start = mark.start()
        pieces.keep(position, start)
        if source[start] == "&":
            position = _entity(pieces, start)
        elif source.startswith("<!--", start) and start < last_comment_end:
            position = source.find("-->", start) + 3
        elif start < last_tag_end:
            position = source.find(">", start) + 1
            tag = _TAG_NAME.match(source, start)
            name = tag.group(1).lower() if tag else ""
            if name not in _INLINE:
                pieces.replace(start, position, "\n" if name in {"p", "br", "tr", "div"} else " ")
            if name in {"script", "style"} and source[start + 1] != "/":
                while closing is not None and closing.start() < position:
                    closing = next(closings, None)
                position = closing.end() if closing else position
        else:
            pieces.keep(start, start + 1)
            position = start + 1
    pieces.keep(position, len(source))
    return pieces.joined()


# --- residue ----------------------------------------------------------------------------------

# Where the default corpus's legitimate mail was collected: never evidence about what it says.
_LISTS = (
    "zzzzteana|ilug(?:-social)?|spamassassin(?:-(?:talk|devel|sightings|commits))?|razor-users"
    "|exmh(?:-(?:users|workers))?|rpm-(?:list|zzzlist)|sadev|satalk|spambayes(?:-dev)?"
    "|secprog|freshrpms|(?:fork|social|webdev|iiu)(?=(?:-admin|-request)?@)"
)
# What one recipient's filter wrote into the spam that he gave to the corpus. Its rules are looked
# for from their first dash only, or a text of dashes takes a time quadratic in its length.
_FILTER_MARK = r"(?:(?<!-)-+)?(?:DeathToSpam)+-*"
# What nobody sees: controls that part no words, a line end's carriage return, the mark of a lost
# character and halves of one (no UTF-8 holds them), zero-width characters, changes of direction.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff\ufffd\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff]+|\r(?=\n)"
)
# Reply and forward marks and list tags that open the subject.
_OPENING = re.compile(
    r"\s*(?:(?:re|aw|fw|fwd|antw)(?:\[\d+\])?\s*:\s*|\[[^\]\n]{1,40}\]\s*)+", re.IGNORECASE
)
_LINES = re.compile(
    # Quoted lines, and the line that announces them.
    r"^[ \t]{0,3}(?:[A-Za-z]{0,4}>|\|[ \t]).*\n?"
    r"|^[^\n]{0,200}\b(?:wrote|writes|said)[ \t]*:[ \t]*$\n?"
    r"|^-{3,}[ \t]*(?:original message|forwarded)[^\n]{0,60}$\n?"
    # Mailing-list footers: a rule, then a paragraph that speaks of the list.
    r"|^[-_=~]{5,}[ \t]*\n(?:[^\n]*\n){0,3}?"
    r"[^\n]*(?:mailing list|listinfo|sponsored by|yahoo! groups|unsubscribe from this group)"
    r"[^\n]*(?:\n[^\n]+){0,8}"
    r"|^-- ?\n[^\n]*(?:linux users'? group|mailing list|to unsubscribe)[^\n]*(?:\n[^\n]+){0,6}"
    r"|^to unsubscribe from this group[^\n]*(?:\n[^\n]+){0,6}",
    re.IGNORECASE | re.MULTILINE,
)
# Names of lists and their addresses.
_NAMES = re.compile(
    rf"\[?\b(?:{_LISTS})(?:-(?:admin|request|owner))?\b(?:@[\w.-]{{1,80}})?\]?|{_FILTER_MARK}",
    re.IGNORECASE,
)
# A text of ASCII in which none of these is has none of the names: far cheaper to find out.
_NAMED = (
    "zzzz", "ilug", "spama", "razor", "exmh", "rpm", "sadev", "satalk", "spamb", "secprog",
    "fork@", "social@", "webdev@", "iiu@", "-admin@", "-request@", "deathtospam",
)  # fmt: skip
_EXTRA_SPACE = re.compile(r"(?<=[^\S\n])[^\S\n]+|(?<=\n\n)\s+")


def _without_residue(aligned: AlignedText) -> AlignedText:
    """Drop, in turn, what is invisible, what speaks of the way here, and spare white space."""
    aligned = _drop(aligned, _INVISIBLE.finditer(aligned.text))
    opening = _OPENING.match(aligned.text)
    aligned = _drop(aligned, [opening] if opening else [])
    aligned = _drop(aligned, _LINES.finditer(aligned.text))
    if _may_name(aligned.text):
        aligned = _drop(aligned, _NAMES.finditer(aligned.text))
    return _drop(aligned, _EXTRA_SPACE.finditer(aligned.text))


def _may_name(text: str) -> bool:
    """Whether a list's or a filter's name can be in a text at all."""
    if not text.isascii():
        return True
    lowered = text.lower()
    return any(part in lowered for part in _NAMED)


def _drop(aligned: AlignedText, matches: Iterable[re.Match[str]]) -> AlignedText:
    spans = [match.span() for match in matches]
    if not spans:
        return aligned
    keep = np.ones(len(aligned.text), dtype=bool)
    pieces, position = [], 0
    for start, end in spans:
        keep[start:end] = False
        pieces.append(aligned.text[position:start])
        position = end
    pieces.append(aligned.text[position:])
    starts, ends = aligned.starts[keep], aligned.ends[keep]
    return AlignedText("".join(pieces), starts, ends, aligned.source)
