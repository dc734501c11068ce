"""A text cut where spans begin and end, with what they are worth there, for whoever draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rampart.explain.attribution import Attribution

STRENGTHS = 4
"""Steps of strength that a reader tells apart."""

# Under this share of the strongest a stretch is not marked.
_WEAK = 0.05
# Sums of overlapping spans are kept by adding and taking away; beyond this, rounding would show.
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a text over which the same spans lie.

    Attributes:
        text: the piece, as sent.
        value: sum of these spans' values; 0 where there are none.
        spans: how many they are.
        strength: 0 for a weak one, else 1 to `STRENGTHS`, by the share of the largest value.
        among_strongest: whether its value is to be read beside it.
    """

    text: str
    value: float
    spans: int
    strength: int
    among_strongest: bool


def stretches(
    text: str, attribution: Attribution, *, largest: float | None = None, labelled: int = 12
) -> list[Stretch]:
    """The whole text in order, piece by piece.

    Args:
        text: as sent.
        attribution: of this text; its spans may overlap and touch.
        largest: value that full strength stands for; by default the largest there is.
        labelled: how many of the pieces are among the strongest.

    Raises:
        InputError: a span ends behind the text.
    """
    pieces = _pieces(text, attribution)
    if largest is None:
        largest = max((abs(value) for _, _, value, _ in pieces), default=0.0)
    size = np.abs([value for _, _, value, _ in pieces])
    order = np.argsort(-size, kind="stable")[:labelled]
    first = set(order[size[order] >= max(_WEAK * largest, np.finfo(float).tiny)].tolist())
    return [
        Stretch(text[start:end], value, spans, _strength(value, largest), at in first)
        for at, (start, end, value, spans) in enumerate(pieces)
    ]


def largest_value(texts: Sequence[str], attributions: Sequence[Attribution]) -> float:
    """The largest value of any stretch, by which several texts are drawn on one scale."""
    return max(
        (
            abs(value)
            for text, attribution in zip(texts, attributions, strict=True)
            for _, _, value, _ in _pieces(text, attribution)
        ),
        default=0.0,
    )


def _pieces(text: str, attribution: Attribution) -> list[tuple[int, int, float, int]]:
    """Start, end, value and number of spans of each piece, in order and without a gap."""
    attribution.check(text)
    values = np.clip(attribution.value, -_LARGEST, _LARGEST).tolist()
    events = [
        *zip(attribution.start.tolist(), values, [1] * len(values), strict=True),
        *((end, -value, -1) for end, value in zip(attribution.end.tolist(), values, strict=True)),
    ]
    pieces = []
    position, value, spans = 0, 0.0, 0
    # At one place spans end before others begin, so that touching ones never add up.
    for at, change, more in sorted(events, key=lambda event: (event[0], event[2])):
        if at > position:
            pieces.append((position, at, value if spans else 0.0, spans))
            position = at
        spans += more
        # Nothing lies here, so nothing is left of what rounding made of it.
        value = value + change if spans else 0.0
    if position < len(text):
        pieces.append((position, len(text), 0.0, 0))
    return pieces


def _strength(value: float, largest: float) -> int:
    share = abs(value) / largest if largest > 0 else 0.0
    return 0 if share < _WEAK else min(STRENGTHS, 1 + int(share * STRENGTHS))
