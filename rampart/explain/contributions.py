"""The contributions that every verdict carries: the terms of its logit, word by word.

Base models split a text differently (n-grams, word pieces), so their terms are gathered into the
words of the clean text that they start in, weighed as the ensemble weighs their models. The
strongest words are kept as spans of the text as it was sent; what the rest adds goes into the
bias, so that bias + contributions is the logit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.data.spans import visible_spans
from rampart.models.base import Floats, Ints, Terms

# A word, in pieces that can be shown, or one other sign; and what parts them.
_UNIT_OR_SPACE = re.compile(r"\w{1,64}|[^\w\s]|\s+")


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
    """Gather the models' weighted terms of one clean text into its `top_k` strongest words."""
    bounds = visible_spans(_UNIT_OR_SPACE, aligned.text)
    bias = intercept + sum(terms.bias for terms in weighted)
    if not bounds.size:
        nothing = np.zeros(0, dtype=np.int64)
        rest = sum(float(terms.value.sum()) for terms in weighted)
        return Contributions(nothing, nothing, np.zeros(0), bias + rest)
    value = np.zeros(len(bounds))
    for terms in weighted:
        owner = np.searchsorted(bounds[:, 0], terms.start, side="right") - 1
        value += np.bincount(np.maximum(owner, 0), weights=terms.value, minlength=len(bounds))
    strength = np.abs(value)
    order = np.argsort(-strength, kind="stable")[:top_k]
    order = order[strength[order] > 0]
    bias += float(value.sum() - value[order].sum())
    start, end = aligned.to_source(bounds[order, 0], bounds[order, 1])
    return Contributions(start, end, value[order], bias)
