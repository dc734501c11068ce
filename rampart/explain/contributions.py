"""The contributions that every verdict carries: the terms of its logit, word by word.

Base models split a text differently (n-grams, word pieces), so their terms are gathered into the
words of the clean text that they start in, weighed as the ensemble weighs their models. The
strongest words are kept as spans of the text as it was sent; what the rest adds goes into the
bias, so that bias + contributions is the logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.models.base import Floats, Ints, Terms

# A longer word is shown in pieces of so many characters.
_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Contributions:
    """A logit as `bias + value.sum()`.

    Attributes:
        start: offsets of the spans in the text as it was sent, in code points, int64 [m].
        end: offsets behind them, int64 [m].
        value: what each adds to the logit, float64 [m], strongest first.
        bias: what is left.
    """

    start: Ints
    end: Ints
    value: Floats
    bias: float


def contributions(
    aligned: AlignedText, weighted: Sequence[Terms], intercept: float, top_k: int
) -> Contributions:
    """Gather the models' weighted terms of one clean text into its `top_k` strongest spans.

    What a reader does not see (an address behind a link, a hidden element) is a span of its own;
    a term of the source that holds words is shared by them.
    """
    units = _units(aligned.word_spans)
    start, end = aligned.to_source(units[:, 0], units[:, 1])
    value = np.zeros(len(units))
    bias = intercept + sum(terms.bias for terms in weighted)
    unseen: dict[tuple[int, int], float] = {}
    for terms in weighted:
        if terms.of_source:
            _share(terms, start, end, value, unseen)
        elif len(units):
            owner = np.searchsorted(units[:, 0], terms.start, side="right") - 1
            value += np.bincount(np.maximum(owner, 0), weights=terms.value, minlength=len(units))
        else:
            bias += float(terms.value.sum())
    if unseen:
        spans: Ints = np.array(list(unseen), dtype=np.int64)
        start, end = np.append(start, spans[:, 0]), np.append(end, spans[:, 1])
        value = np.append(value, list(unseen.values()))
    strength = np.abs(value)
    order = np.argsort(-strength, kind="stable")[:top_k]
    order = order[strength[order] > 0]
    bias += float(value.sum() - value[order].sum())
    return Contributions(start[order], end[order], value[order], bias)


def _units(words: Ints) -> Ints:
    """The words, long ones cut into pieces that can be shown."""
    pieces = -(-(words[:, 1] - words[:, 0]) // _SHOWN)
    if not len(words) or pieces.max() == 1:
        return words
    begin, end = np.repeat(words, pieces, axis=0).T
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = begin + (np.arange(len(begin)) - first) * _SHOWN
    return np.stack([begin, np.minimum(begin + _SHOWN, end)], axis=1)


def _share(
    terms: Terms, start: Ints, end: Ints, value: Floats, unseen: dict[tuple[int, int], float]
) -> None:
    """Give each term of the source to the words in its span, or to the span if it has none."""
    first = np.searchsorted(end, terms.start, side="right")
    words = np.searchsorted(start, terms.end, side="left") - first
    holds = words > 0
    counts = words[holds]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    np.add.at(
        value,
        np.repeat(first[holds], counts) + within,
        np.repeat(terms.value[holds] / counts, counts),
    )
    for row in np.flatnonzero(~holds).tolist():
        span = int(terms.start[row]), int(terms.end[row])
        unseen[span] = unseen.get(span, 0.0) + float(terms.value[row])
