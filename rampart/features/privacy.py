"""Personal data in texts: found by Presidio, counted as features, redacted or pseudonymised.

Presidio joins spaCy's names with patterns and checksums. It reads a text twice: as it was sent, so
that nothing is missed which cleaning drops (quoted lines, addresses in attributes), and clean, so
that markup inside a name does not hide it. It misses some and reports some that are none: a
redacted text is safer, not safe.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from rampart.data.cleaning import AlignedText, clean
from rampart.errors import InputError
from rampart.features.base import Feature, FeatureFamily, Reading, Span
from rampart.features.tagging import MODEL, parted

KINDS = {
    "PERSON": "names of people",
    "LOCATION": "places",
    "EMAIL_ADDRESS": "mail addresses",
    "PHONE_NUMBER": "telephone numbers",
    "CREDIT_CARD": "card numbers",
    "IBAN_CODE": "bank accounts",
    "IP_ADDRESS": "network addresses",
    "US_SSN": "social security numbers",
    "CRYPTO": "wallets",
}
_FEATURES = tuple(
    Feature(f"personal_{kind.lower()}", "per 100 words", meaning) for kind, meaning in KINDS.items()
)
# spaCy needs memory by the gigabyte for a text of a million characters; pieces overlap so that
# nothing is lost at a cut.
_PIECE, _OVERLAP = 50_000, 200
_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """Personal data in a text.

    Attributes:
        start: offset in code points of the text as sent.
        end: offset behind it.
        kind: one of `KINDS`.
        score: how sure Presidio is, 0 to 1.
    """

    start: int
    end: int
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text whose personal data is replaced.

    Attributes:
        text: the new text.
        spans: for each finding its span in the old text and in the new one.
    """

    text: str
    spans: tuple[tuple[Span, Span], ...]


class Detector:
    """Finds personal data; needs the extra `privacy`, and no network.

    Args:
        kinds: that are looked for.
        threshold: findings that Presidio is less sure of are dropped.
    """

    def __init__(self, kinds: Iterable[str] = KINDS, threshold: float = 0.4) -> None:
        self.kinds = tuple(kinds)
        self.threshold = threshold
        unknown = set(self.kinds) - set(KINDS)
        if unknown:
            raise InputError(
                f"There is no kind of personal data named {min(unknown)!r}.",
                f"The kinds are {', '.join(KINDS)}.",
            )

    def find(self, text: str | AlignedText) -> list[Finding]:
        """What a text holds, in order and without overlaps."""
        aligned = text if isinstance(text, AlignedText) else clean(text)
        found = self._in(aligned.source)
        if aligned.text != aligned.source:
            for one in self._in(aligned.text):
                start, end = aligned.to_source(np.array([one.start]), np.array([one.end]))
                found.append(Finding(int(start[0]), int(end[0]), one.kind, one.score))
        return _without_overlaps(found)

    def _in(self, text: str) -> list[Finding]:
        found = []
        for first in range(0, len(text), _PIECE - _OVERLAP):
            # Halves of a character are no text to spaCy.
            piece = text[first : first + _PIECE].encode("utf-8", "replace").decode("utf-8")
            if not piece.strip():
                continue
            results = _analyser().analyze(
                parted(piece),
                language="en",
                entities=list(self.kinds),
                score_threshold=self.threshold,
            )
            found += [
                Finding(first + one.start, first + one.end, one.entity_type, float(one.score))
                for one in results
            ]
        return found


def redact(text: str, findings: Sequence[Finding]) -> Replaced:
    """Put the kind of what was found in its place: `<PERSON>`."""
    return _replaced(text, [(one, f"<{one.kind}>") for one in findings])


def check_key(key: bytes) -> None:
    """Refuse a key for pseudonyms that somebody could guess.

    Raises:
        InputError: it has fewer than 16 bytes.
    """
    if len(key) < _SHORTEST_KEY:
        raise InputError(
            f"The key has {len(key)} bytes.", f"Give at least {_SHORTEST_KEY} random ones."
        )


def pseudonymise(text: str, findings: Sequence[Finding], key: bytes) -> Replaced:
    """Put a name in its place that is the same wherever the same is found: `<PERSON-3f9a2c41>`.

    Without the key nobody can tell who is meant, nor try names until one fits (HMAC-SHA256); case
    and spaces make no difference. Another key gives other names.

    Raises:
        InputError: the key has fewer than 16 bytes.
    """
    check_key(key)

    def name(one: Finding) -> str:
        said = " ".join(text[one.start : one.end].casefold().split())
        known = f"{one.kind}\0{said}".encode("utf-8", "replace")
        return f"<{one.kind}-{hmac.new(key, known, hashlib.sha256).hexdigest()[:8]}>"

    return _replaced(text, [(one, name(one)) for one in findings])


def _replaced(text: str, names: Sequence[tuple[Finding, str]]) -> Replaced:
    parts: list[str] = []
    spans: list[tuple[Span, Span]] = []
    position = length = 0
    for one, name in sorted(names, key=lambda pair: pair[0].start):
        parts += [text[position : one.start], name]
        length += one.start - position
        spans.append(((one.start, one.end), (length, length + len(name))))
        length += len(name)
        position = one.end
    return Replaced("".join([*parts, text[position:]]), tuple(spans))


def _without_overlaps(found: Sequence[Finding]) -> list[Finding]:
    """The surer of two that overlap; of equally sure ones the longer."""
    kept: list[Finding] = []
    taken: set[int] = set()
    for one in sorted(found, key=lambda f: (-f.score, f.start - f.end, f.start)):
        place = range(one.start, one.end)
        if taken.isdisjoint(place):
            taken.update(place)
            kept.append(one)
    return sorted(kept, key=lambda f: f.start)


@cache
def _analyser() -> Any:
    import logging

    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # Presidio checks mail addresses by the package's own instance, which would fetch a list of
    # domains; the one that comes with the package has to do.
    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()
    # It warns of every kind of name that it does not map, on each start.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    models = [{"lang_code": "en", "model_name": MODEL}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


class PrivacyFeatures(FeatureFamily):
    """How much personal data of each kind a text holds."""

    name: ClassVar[str] = "privacy"

    def __init__(self, threshold: float = 0.4) -> None:
        self.threshold = threshold

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""
        return _FEATURES

    def read(self, text: AlignedText) -> Reading:
        """The features of one text."""
        evidence: dict[str, list[Span]] = {}
        for one in Detector(threshold=self.threshold).find(text):
            name = f"personal_{one.kind.lower()}"
            evidence.setdefault(name, []).append((one.start, one.end))
        words = max(1, sum(map(str.isalnum, text.words)))
        counts = [100.0 * len(evidence.get(feature.name, ())) / words for feature in _FEATURES]
        return Reading(np.array(counts, dtype=np.float64), evidence)
