"""Characters: their shape, their disguises and what is encoded in them."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from math import log2

from rampart.features.base import Feature
from rampart.features.security.finding import Found, Part
from rampart.features.security.message import Message

_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2064\ufeff]+")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_TAGGED = re.compile("[\ufe00-\ufe0f\U000e0000-\U000e01ef]+")
# A character of another alphabet beside a Latin one: the alphabets whose letters look Latin.
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LIKE_LATIN = re.compile("[\u0370-\u03ff\u0400-\u052f\u0530-\u058f]")
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
    text, source, words = message.aligned.text, message.aligned.source, message.aligned.words
    yield from _shape(message, text, words)
    yield from _subject(message.subject)
    yield Found("entropy", _entropy(text[:_ENTROPY_OF]))
    start = text[:_PACKED_OF].encode("utf-8", "replace")
    yield Found("packed", len(zlib.compress(start, 1)) / len(start) if start else 0.0)
    for name, pattern in (
        ("invisible", _INVISIBLE), ("bidirectional", _DIRECTION), ("tag_characters", _TAGGED),
    ):  # fmt: skip
        hidden = [] if source.isascii() else [m.span() for m in pattern.finditer(source)]
        yield Found(name, len(hidden), hidden)
    mixed = [(at, 1) for at, word in enumerate(words) if mixes_scripts(word)]
    yield Found("mixed_words", len(mixed), message.of_words(mixed))
    blobs = [m.span() for m in _BASE64.finditer(text) if _encoded(m.group())]
    yield Found("base64", len(blobs), message.in_source(blobs))
    yield Found("base64_longest", max((end - start for start, end in blobs), default=0))
    digits = [m.span() for m in _HEX.finditer(text)]
    yield Found("hex", len(digits), message.in_source(digits))


def _shape(message: Message, text: str, words: list[str]) -> Iterable[Found]:
    letters = [word for word in words if word.isalnum()]
    size = max(len(text), 1)
    capitals = sum(map(str.isupper, text))
    yield Found("characters", len(text))
    yield Found("words", len(letters))
    yield Found("lines", text.count("\n") + 1)
    yield Found("word_length", sum(map(len, letters)) / max(len(letters), 1))
    yield Found("upper_share", capitals / max(sum(map(str.isalpha, text)), 1))
    shouted = [(at, 1) for at, word in enumerate(words) if len(word) > 2 and word.isupper()]
    yield Found("upper_words", message.rate(len(shouted)), message.of_words(shouted))
    yield Found("digit_share", sum(map(str.isdigit, text)) / size)
    bursts = [match.span() for match in _BURST.finditer(text)]
    yield Found("bursts", len(bursts), message.in_source(bursts))
    for name, signs in (
        ("exclamation_rate", "!"), ("money_signs", "$£€¥"), ("percent_rate", "%"),
    ):  # fmt: skip
        places = [(at, 1) for at, word in enumerate(words) if word in signs]
        yield Found(name, message.rate(len(places)), message.of_words(places))
    yield Found("longest_word", max(map(len, letters), default=0))
    foreign = 0 if text.isascii() else sum(character > "\x7f" for character in text)
    yield Found("foreign_share", foreign / size)
    odd = [(at, 1) for at, word in enumerate(words) if _odd(word)]
    yield Found("odd_words", message.rate(len(odd)), message.of_words(odd))
    spaced = [match.span() for match in _SPACED.finditer(text)]
    yield Found("spaced_words", len(spaced), message.in_source(spaced))
    mixed = [
        (at, 1) for at, word in enumerate(words)
        if word.isalnum() and not word.isalpha() and not word.isdigit()
    ]  # fmt: skip
    yield Found("digit_words", message.rate(len(mixed)), message.of_words(mixed))


def _subject(subject: str) -> Iterable[Found]:
    yield Found("subject_length", len(subject))
    letters = sum(map(str.isalpha, subject))
    yield Found("subject_upper", sum(map(str.isupper, subject)) / max(letters, 1))
    yield Found("subject_signs", sum(map(subject.count, "!?$%")))


def _odd(word: str) -> bool:
    return len(word) > 4 and word.isalpha() and word.isascii() and _VOWELS.isdisjoint(word.lower())


def _encoded(run: str) -> bool:
    """Whether a run of base64's letters has capitals, small ones and digits, as no word has."""
    return any(map(str.isdigit, run)) and any(map(str.isupper, run)) and any(map(str.islower, run))


def _entropy(text: str) -> float:
    counts = Counter(text).values()
    return log2(len(text)) - sum(n * log2(n) for n in counts) / len(text) if text else 0.0


PART = Part(_FEATURES, _find)
