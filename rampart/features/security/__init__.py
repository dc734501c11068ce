"""What a text's links, markup, words, characters and commands tell of its purpose."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.features.base import Feature, FeatureFamily, Reading, Span
from rampart.features.security import characters, lexicons, markup, prompts, urls
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
        evidence: dict[str, list[Span]] = {}
        for part in _PARTS:
            for found in part.find(message):
                values[self._column[found.name]] = found.value
                if found.spans:
                    evidence[found.name] = list(found.spans)
        return Reading(values, evidence)
