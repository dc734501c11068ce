"""What a text's links, markup, words, characters and commands tell of its purpose."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.features.base import Feature, FeatureFamily, Reading, Span
from rampart.features.security import characters, lexicons, markup, prompts, urls
from rampart.features.security.finding import Within
from rampart.features.security.message import Message

__all__ = ["SecurityFeatures"]

_PARTS = (urls.PART, markup.PART, lexicons.PART, characters.PART, prompts.PART)


class SecurityFeatures(FeatureFamily):
    """Links, HTML, lexicons, shape, encodings and prompt attacks; about a millisecond a mail.

    What is said is counted in the clean text, so that nothing which tells where a text came from
    (quoted lines, list footers) counts; HTML is read from the source, up to 200,000 characters.
    """

    name: ClassVar[str] = "security"
    _features: ClassVar[tuple[Feature, ...]] = tuple(
        feature for part in _PARTS for feature in part.features
    )
    _column: ClassVar[dict[str, int]] = {feature.name: at for at, feature in enumerate(_features)}

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""
        return self._features

    def read(self, text: AlignedText) -> Reading:
        """The features of one text."""
        message = Message(text)
        values = np.zeros(len(self._features))
        places: dict[Within, list[Span]] = {within: [] for within in Within}
        seen: list[tuple[str, Within, int]] = []
        for part in _PARTS:
            for found in part.find(message):
                values[self._column[found.name]] = found.value
                if found.places:
                    places[found.within] += found.places
                    seen.append((found.name, found.within, len(found.places)))
        # The way back to the source is found for all places at once: each step of it is an array's.
        spans = {
            Within.SOURCE: iter(places[Within.SOURCE]),
            Within.TEXT: iter(message.in_source(places[Within.TEXT])),
            Within.WORDS: iter(message.of_words(places[Within.WORDS])),
        }
        return Reading(values, {name: list(islice(spans[of], count)) for name, of, count in seen})
