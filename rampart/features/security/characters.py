"""Characters: their shape, their disguises and what is encoded in them."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from enum import IntFlag
from itertools import filterfalse

import numpy as np
from numpy.typing import NDArray

from rampart.features.base import Feature, Span
from rampart.features.security.finding import Found, Part, Within
from rampart.features.security.message import Message

_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2064\ufeff]+")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_TAGGED = re.compile("[\ufe00-\ufe0f\U000e0000-\U000e01ef]+")
# A character of another alphabet beside a Latin one: the alphabets whose letters look Latin.
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LIKE_LATIN = re.compile("[\u0370-\u03ff\u0400-\u052f\u0530-\u058f]")
_ENCODED_LENGTH = 32
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{32,}={0,2}")
_HEX = re.compile(
    r"(?<![0-9A-Za-z])(?:0x)?[0-9A-Fa-f]{32,}(?![0-9A-Za-z])|(?:\\x[0-9A-Fa-f]{2}){8,}"
)
_BURST = re.compile(r"[!?$*]{2,}")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .*_-]){3,40}[^\W\d_](?![^\W_])")
_VOWELS = frozenset("aeiouy")
_ENTROPY_OF = 20_000
_PACKED_OF = 4_096

_FEATURES = (
    Feature("characters", "count", "characters a reader sees"),
    Feature("words", "count", "words"),
    Feature("lines", "count", "lines"),
    Feature("word_length", "characters", "mean length of words"),
    Feature("upper_share", "share", "capitals among the letters"),
    Feature("upper_words", "per 100 words", "words of capitals alone, of three letters or more"),
    Feature("digit_share", "share", "digits among the characters"),
    Feature("bursts", "count", "runs of !, ?, $ or *"),
    Feature("exclamation_rate", "per 100 words", "exclamation marks"),
    Feature("money_signs", "per 100 words", "signs of currency"),
    Feature("percent_rate", "per 100 words", "percent signs"),
    Feature("longest_word", "characters", "length of the longest run of letters and digits"),
    Feature("foreign_share", "share", "characters that are not ASCII"),
    Feature("odd_words", "per 100 words", "words of five letters or more without a vowel"),
    Feature("spaced_words", "count", "words written letter by letter"),
    Feature("digit_words", "per 100 words", "words with digits inside"),
    Feature("subject_length", "characters", "length of the subject"),
    Feature("subject_upper", "share", "capitals among the subject's letters"),
    Feature("subject_signs", "count", "!, ?, $ and % in the subject"),
    Feature("entropy", "bits", "Shannon entropy of a character"),
    Feature("packed", "share", "size after compression"),
    Feature("invisible", "count", "runs of characters without width"),
    Feature("bidirectional", "count", "runs of characters that change direction"),
    Feature("tag_characters", "count", "runs of variation selectors and tag characters"),
    Feature("mixed_words", "count", "words that mix alphabets which look alike"),
    Feature("base64", "count", "runs that may be base64"),
    Feature("base64_longest", "characters", "length of the longest of them"),
    Feature("hex", "count", "runs of hexadecimal digits"),
)


def mixes_scripts(word: str) -> bool:
    """Whether a word holds Latin letters beside Greek, Cyrillic or Armenian ones."""
    return not word.isascii() and bool(_LATIN.search(word)) and bool(_LIKE_LATIN.search(word))


def _find(message: Message) -> Iterable[Found]:
    text, source = message.aligned.text, message.aligned.source
    yield from _letters(text)
    yield from _words(message)
    yield from _subject(message.subject)
    start = text[:_PACKED_OF].encode("utf-8", "replace")
    yield Found("packed", len(zlib.compress(start, 1)) / len(start) if start else 0.0)
    for name, pattern in (
        ("invisible", _INVISIBLE), ("bidirectional", _DIRECTION), ("tag_characters", _TAGGED),
    ):  # fmt: skip
        hidden = [] if source.isascii() else _spans(pattern, source)
        yield Found(name, len(hidden), hidden)
    # Most texts have no run as long as what is encoded, and to see that takes no pattern.
    long = text if max(map(len, text.split()), default=0) >= _ENCODED_LENGTH else ""
    for name, pattern, within in (
        ("bursts", _BURST, text), ("spaced_words", _SPACED, text), ("hex", _HEX, long),
    ):  # fmt: skip
        places = _spans(pattern, within)
        yield Found(name, len(places), places, Within.TEXT)
    blobs = [(start, end) for start, end in _spans(_BASE64, long) if _encoded(text[start:end])]
    yield Found("base64", len(blobs), blobs, Within.TEXT)
    yield Found("base64_longest", max((end - start for start, end in blobs), default=0))


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text)]


# --- letter by letter -------------------------------------------------------------------------

_ASCII = [chr(code) for code in range(128)]
_UPPER, _ALPHA, _DIGIT = (
    np.array([is_one(sign) for sign in _ASCII])
    for is_one in (str.isupper, str.isalpha, str.isdigit)
)


def _letters(text: str) -> Iterable[Found]:
    """What the characters are, counted by their codes and not one by one."""
    size = max(len(text), 1)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    counts = np.bincount(codes[codes < len(_ASCII)], minlength=len(_ASCII))
    others = "" if text.isascii() else "".join(filterfalse(str.isascii, text))
    letters = counts @ _ALPHA + sum(map(str.isalpha, others))
    yield Found("characters", len(text))
    yield Found("lines", counts[ord("\n")] + 1)
    yield Found("upper_share", (counts @ _UPPER + sum(map(str.isupper, others))) / max(letters, 1))
    yield Found("digit_share", (counts @ _DIGIT + sum(map(str.isdigit, others))) / size)
    yield Found("foreign_share", len(others) / size)
    if len(text) > _ENTROPY_OF:
        _, counts = np.unique(codes[:_ENTROPY_OF], return_counts=True)
    elif others:
        counts = np.append(counts, list(Counter(others).values()))
    yield Found("entropy", _entropy(counts[counts > 0].astype(np.float64)))


def _entropy(counts: NDArray[np.float64]) -> float:
    size = counts.sum()
    return float(np.log2(size) - counts @ np.log2(counts) / size) if size else 0.0


# --- word by word -----------------------------------------------------------------------------


class _Trait(IntFlag):
    """What a word shows by itself."""

    WORD = 1
    CAPITALS = 2
    VOWELLESS = 4
    DIGITS_INSIDE = 8
    MIXED_SCRIPTS = 16
    EXCLAMATION = 32
    CURRENCY = 64
    PERCENT = 128


def _traits(word: str) -> int:
    if not word.isalnum():
        traits = {"!": _Trait.EXCLAMATION, "%": _Trait.PERCENT}.get(word, _Trait(0))
        traits |= _Trait.CURRENCY if word in "$£€¥" else _Trait(0)
    else:
        traits = _Trait.WORD
        if not word.isalpha() and not word.isdigit():
            traits |= _Trait.DIGITS_INSIDE
        elif len(word) > 4 and word.isascii() and _VOWELS.isdisjoint(word.lower()):
            traits |= _Trait.VOWELLESS if word.isalpha() else _Trait(0)
    if len(word) > 2 and word.isupper():
        traits |= _Trait.CAPITALS
    if mixes_scripts(word):
        traits |= _Trait.MIXED_SCRIPTS
    return int(traits)


class _Known(dict[str, int]):
    """Traits of the words met so far; bounded, and long ones are not kept."""

    def __missing__(self, word: str) -> int:
        traits = _traits(word)
        if len(word) <= _KEPT_LENGTH and len(self) < _KEPT:
            self[word] = traits
        return traits


_KEPT, _KEPT_LENGTH = 50_000, 32
_KNOWN = _Known()
_OF_TRAITS = {
    "upper_words": _Trait.CAPITALS,
    "odd_words": _Trait.VOWELLESS,
    "digit_words": _Trait.DIGITS_INSIDE,
    "exclamation_rate": _Trait.EXCLAMATION,
    "money_signs": _Trait.CURRENCY,
    "percent_rate": _Trait.PERCENT,
}


def _words(message: Message) -> Iterable[Found]:
    words = message.aligned.words
    traits = np.fromiter(map(_KNOWN.__getitem__, words), np.uint8, len(words))
    lengths = np.fromiter(map(len, words), np.int64, len(words))[(traits & int(_Trait.WORD)) > 0]
    yield Found("words", len(lengths))
    yield Found("word_length", lengths.mean() if lengths.size else 0.0)
    yield Found("longest_word", lengths.max(initial=0))
    for name, trait in _OF_TRAITS.items():
        found = _showing(traits, trait)
        yield Found(name, message.rate(len(found)), found, Within.WORDS)
    mixed = _showing(traits, _Trait.MIXED_SCRIPTS)
    yield Found("mixed_words", len(mixed), mixed, Within.WORDS)


def _showing(traits: NDArray[np.uint8], trait: _Trait) -> list[Span]:
    return [(at, at + 1) for at in np.flatnonzero(traits & int(trait)).tolist()]


def _subject(subject: str) -> Iterable[Found]:
    yield Found("subject_length", len(subject))
    letters = sum(map(str.isalpha, subject))
    yield Found("subject_upper", sum(map(str.isupper, subject)) / max(letters, 1))
    yield Found("subject_signs", sum(map(subject.count, "!?$%")))


def _encoded(run: str) -> bool:
    """Whether a run of base64's letters has capitals, small ones and digits, as no word has."""
    return any(map(str.isdigit, run)) and any(map(str.isupper, run)) and any(map(str.islower, run))


PART = Part(_FEATURES, _find)
