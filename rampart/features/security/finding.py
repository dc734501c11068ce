"""How a part of the family says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from rampart.features.base import Feature, Span
from rampart.features.security.message import Message


class Within(Enum):
    """What the places of a finding count in."""

    SOURCE = "code points of the text as sent"
    TEXT = "code points of the clean text"
    WORDS = "words and signs of the clean text"


class Found(NamedTuple):
    """The value of one feature and the places [start, end) where it was read."""

    name: str
    value: float
    places: Sequence[Span] = ()
    within: Within = Within.SOURCE


class Part(NamedTuple):
    """Features that are found together."""

    features: tuple[Feature, ...]
    find: Callable[[Message], Iterable[Found]]
