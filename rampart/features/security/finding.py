"""How a part of the family says what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rampart.features.base import Feature, Span
from rampart.features.security.message import Message


class Found(NamedTuple):
    """The value of one feature and where it was read."""

    name: str
    value: float
    spans: Sequence[Span] = ()


class Part(NamedTuple):
    """Features that are found together."""

    features: tuple[Feature, ...]
    find: Callable[[Message], Iterable[Found]]
