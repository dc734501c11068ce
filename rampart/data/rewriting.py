"""Texts rewritten as somebody would who wants them past a filter and still read.

A rule changes some of the words that a reader sees, whichever the draw falls on, and leaves every
other character where it stood. Markup, what `clean` takes away, web addresses and mail addresses
are no words here: a link has to go on working. Each rule is one plain way to evade, for
measurement; nothing here looks for the change that fools a certain model most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import clean
from rampart.errors import InputError

Rule = Callable[[str, float, np.random.Generator], str]
"""From a text, a share of its words in 0 to 1, and a source of draws to the text rewritten."""
_Change = Callable[[str, np.random.Generator], str]

_WORD = re.compile(r"[^\W\d_]+")
# Broken at quotes and angles too, so that a link's target does not take its text with it.
_CHUNK = re.compile(r"[^\s<>\"']+")
_ADDRESS = re.compile(r"@|://|\w\.\w")

_HOMOGLYPHS = str.maketrans(
    "aceijopsxyvABCEHIKMNOPTXYZ",
    # Cyrillic down to y, then Greek; capitals A to Z are Greek where Greek has the shape.
    "\u0430\u0441\u0435\u0456\u0458\u043e\u0440\u0455\u0445\u0443\u03bd"
    "\u0391\u0392\u0421\u0395\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7\u03a5\u0396",
)
_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_ZERO_WIDTH = "\u200b\u200c\u2060"
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "account": ("profile",), "address": ("location",), "amazing": ("awesome", "superb"),
    "answer": ("reply",), "attached": ("enclosed",), "bank": ("lender",), "best": ("finest",),
    "big": ("huge", "large"), "bonus": ("extra",), "business": ("company", "trade"),
    "buy": ("get", "obtain"), "call": ("phone", "ring"), "cash": ("funds",),
    "cheap": ("budget", "thrifty"), "claim": ("collect",), "click": ("tap", "press"),
    "credit": ("loan",), "customer": ("client", "buyer"), "deal": ("bargain",),
    "debt": ("arrears",), "discount": ("markdown",), "dollars": ("bucks",), "earn": ("make",),
    "easy": ("simple",), "fast": ("quick", "rapid"), "free": ("gratis", "no-cost"),
    "friend": ("pal", "buddy"), "gift": ("present",), "great": ("super", "grand"),
    "guarantee": ("warranty", "promise"), "help": ("aid", "assist"), "here": ("below",),
    "income": ("earnings", "revenue"), "information": ("details", "facts"),
    "invest": ("put in",), "limited": ("scarce",), "loan": ("advance",),
    "lose": ("shed", "drop"), "mail": ("post",), "meeting": ("session",), "message": ("note",),
    "money": ("funds", "riches"), "month": ("four weeks",), "need": ("require", "want"),
    "new": ("fresh", "novel"), "now": ("today", "at once"), "offer": ("deal", "proposal"),
    "online": ("on the web",), "order": ("request",), "pay": ("spend",), "people": ("folks",),
    "price": ("cost", "rate"), "prize": ("award", "reward"), "product": ("item", "article"),
    "remove": ("delete", "take off"), "report": ("account",), "save": ("keep",),
    "secret": ("hidden",), "sell": ("market",), "send": ("mail", "forward"), "sex": ("passion",),
    "start": ("begin", "launch"), "stop": ("end", "halt"), "urgent": ("pressing",),
    "visit": ("go to",), "weight": ("pounds",), "win": ("gain", "score"),
    "winner": ("champion",), "work": ("labour", "toil"),
}  # fmt: skip


def words(text: str) -> list[tuple[int, int]]:
    """Spans [start, end) of the words that a rule may change, in order."""
    visible = clean(text)
    closed, hidden = _addresses(text), _addresses(visible.text)
    found = []
    for match in _WORD.finditer(visible.text):
        start, end = int(visible.starts[match.start()]), int(visible.ends[match.end() - 1])
        # Equal only where nothing that a reader does not see parts the word.
        whole = text[start:end] == match.group()
        if whole and not closed[start:end].any() and not hidden[match.start()]:
            found.append((start, end))
    return found


def misspelt(text: str, share: float, draw: np.random.Generator) -> str:
    """Swap, double or drop one letter within words of four letters and more.

    Args:
        text: of any kind.
        share: of the words, in 0 to 1.
        draw: what chooses words and letters.

    Raises:
        InputError: the share is none.
    """
    return _rewritten(text, share, draw, _misspell)


def homoglyphs(text: str, share: float, draw: np.random.Generator) -> str:
    """Put Cyrillic and Greek letters that look alike into words; see `misspelt`."""
    return _rewritten(text, share, draw, _translate(_HOMOGLYPHS))


def spaced_out(text: str, share: float, draw: np.random.Generator) -> str:
    """Put a space between all letters of words of three letters and more; see `misspelt`."""
    return _rewritten(text, share, draw, lambda word, _: " ".join(word) if len(word) > 2 else word)


def leet(text: str, share: float, draw: np.random.Generator) -> str:
    """Put digits that look alike into words of three letters and more; see `misspelt`."""
    digits = _translate(_LEET)
    return _rewritten(
        text, share, draw, lambda word, draw: digits(word, draw) if len(word) > 2 else word
    )


def synonyms(text: str, share: float, draw: np.random.Generator) -> str:
    """Say some seventy words of spam and office mail otherwise, in their case; see `misspelt`."""
    return _rewritten(text, share, draw, _reword)


def zero_width(text: str, share: float, draw: np.random.Generator) -> str:
    """Put a character without width into words of two letters and more; see `misspelt`."""
    return _rewritten(text, share, draw, _part)


RULES: Mapping[str, Rule] = {
    "misspelt": misspelt,
    "homoglyphs": homoglyphs,
    "spaced out": spaced_out,
    "leet": leet,
    "synonyms": synonyms,
    "zero-width": zero_width,
}
"""Every rule by the name under which it is shown."""


def _rewritten(text: str, share: float, draw: np.random.Generator, change: _Change) -> str:
    """Change about a share of the words, or as many as can be changed where those are fewer."""
    if not 0.0 <= share <= 1.0:
        raise InputError(f"The share {share} is none.", "Give a number from 0 to 1, such as 0.2.")
    spans = words(text)
    # Rounded by chance, so that short texts have their share on average.
    left = int(share * len(spans) + draw.random())
    changed: dict[int, str] = {}
    for row in draw.permutation(len(spans)).tolist():
        if len(changed) >= left:
            break
        start, end = spans[row]
        word = change(text[start:end], draw)
        if word != text[start:end]:
            changed[row] = word
    pieces, position = [], 0
    for row in sorted(changed):
        start, end = spans[row]
        pieces += [text[position:start], changed[row]]
        position = end
    return "".join([*pieces, text[position:]])


def _misspell(word: str, draw: np.random.Generator) -> str:
    if len(word) < 4:
        return word
    way = ("swap", "double", "drop")[int(draw.integers(3))]
    # The first letter and the last stay, or nobody could read it.
    at = int(draw.integers(1, len(word) - 1))
    if way == "swap":
        at = min(at, len(word) - 3)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if swapped != word:
            return swapped
    return word[:at] + (word[at + 1 :] if way == "drop" else word[at] + word[at:])


def _translate(table: Mapping[int, int]) -> _Change:
    """A change of one or more of the letters that a table holds."""

    def change(word: str, draw: np.random.Generator) -> str:
        places = [place for place, letter in enumerate(word) if ord(letter) in table]
        chosen = _some(places, draw)
        return "".join(
            letter.translate(table) if place in chosen else letter
            for place, letter in enumerate(word)
        )

    return change


def _some(places: Sequence[int], draw: np.random.Generator) -> set[int]:
    """One to all of the places, none where there are none."""
    if not places:
        return set()
    count = int(draw.integers(1, len(places) + 1))
    return set(draw.choice(np.array(places), size=count, replace=False).tolist())


def _reword(word: str, draw: np.random.Generator) -> str:
    others = _SYNONYMS.get(word.lower())
    if others is None:
        return word
    other = others[int(draw.integers(len(others)))]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _part(word: str, draw: np.random.Generator) -> str:
    if len(word) < 2:
        return word
    at = int(draw.integers(1, len(word)))
    return word[:at] + _ZERO_WIDTH[int(draw.integers(len(_ZERO_WIDTH)))] + word[at:]


def _addresses(text: str) -> NDArray[np.bool_]:
    """Which characters belong to an address, [n]."""
    inside = np.zeros(len(text), dtype=np.bool_)
    for chunk in _CHUNK.finditer(text):
        if _ADDRESS.search(chunk.group()):
            inside[chunk.start() : chunk.end()] = True
    return inside
