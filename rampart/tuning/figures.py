"""What a trial is worth: recall at 1 % false positives, and what a message costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText
from rampart.evaluation.metrics import recall_at_1_fpr
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats, Model

_TEXTS = 100
_REPEATS = 5


def recall(logit: Floats, labels: NDArray[np.int8]) -> float:
    """Recall at 1 % false positives of logits [n] under labels 0 and 1 [n]."""
    # Ranks alone count, and far from 0 the probabilities of different logits are one number.
    order = np.unique(logit, return_inverse=True)[1]
    scored = Scored.of(labels, (order + 0.5) / (order.max() + 1.0), 0.5)
    return float(recall_at_1_fpr(scored.counts())[0])


def cost(score: Callable[[Sequence[AlignedText]], object], texts: Sequence[AlignedText]) -> float:
    """Milliseconds of processor time a text, the least of several runs over the same ones.

    Processor time, and the least of it, because the machine has other things to do.
    """
    chosen = texts[:_TEXTS]
    score(chosen)
    took = []
    for _ in range(_REPEATS):
        begun = time.process_time()
        score(chosen)
        took.append(time.process_time() - begun)
    return 1_000.0 * min(took) / len(chosen)


def cost_of(model: Model, texts: Sequence[AlignedText]) -> float:
    """Milliseconds of processor time that a model takes for a text."""
    return cost(lambda some: model.score(some, explain=False), texts)
