"""What a new version of a model sees in the same texts: which words gained or lost weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.explain.word_values import dense, strongest, totals, word_rows, worth
from rampart.resampling import RESAMPLES, Interval, Resamples


@dataclass(frozen=True, slots=True)
class WordShift:
    """What one word gained or lost from the old version to the new one.

    Attributes:
        word: see `word_values`.
        old: mean of its worth by the old version, over the texts in which either gives it any.
        new: by the new one, over the same texts.
        difference: new - old, paired by text.
        texts: how many those are.
        share: of all texts.
    """

    word: str
    old: float
    new: float
    difference: Interval
    texts: int
    share: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two versions of a model on the same texts, by one method.

    Attributes:
        method: its name.
        texts: how many.
        logit: mean difference of the logits, new - old.
        words: those first whose shift, summed over the texts, is largest.
    """

    method: str
    texts: int
    logit: Interval
    words: tuple[WordShift, ...]

    @property
    def gained(self) -> tuple[WordShift, ...]:
        """Words that speak more for a threat than before; their intervals lie above 0."""
        return tuple(shift for shift in self.words if shift.difference.low > 0)

    @property
    def lost(self) -> tuple[WordShift, ...]:
        """Words that speak less for a threat than before; their intervals lie below 0."""
        return tuple(shift for shift in self.words if shift.difference.high < 0)


def contrast(
    texts: Sequence[str],
    old: Sequence[Attribution],
    new: Sequence[Attribution],
    *,
    campaigns: Sequence[Any] | None = None,
    most: int = 100,
    fewest_texts: int = 1,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Contrast:
    """Which words gained or lost weight between two versions of a model.

    Args:
        texts: as sent, [n].
        old: their explanations by the old version, [n].
        new: by the new one, by the same method, [n].
        campaigns: as in `global_importance`.
        most: words to return.
        fewest_texts: leave out words that fewer texts hold.
        resamples: for the intervals.
        seed: of the draws.

    Raises:
        InputError: as there, or the versions are of different numbers of texts.
    """
    if not len(texts) == len(old) == len(new):
        raise InputError(
            f"{len(texts)} texts have {len(old)} and {len(new)} explanations.",
            "Pass one of each version for each text.",
        )
    count = len(texts)
    draws = Resamples(campaigns, count, resamples, seed)
    method, both = word_rows([*zip(texts, old, strict=True), *zip(texts, new, strict=True)])
    before, after = ([worth(row) for row in side] for side in (both[:count], both[count:]))
    # A word that one version leaves out, as weaker ones are, is worth nothing to it.
    shifts = [
        {word: b.get(word, 0.0) - a.get(word, 0.0) for word in a | b}
        for a, b in zip(before, after, strict=True)
    ]
    held, total = totals(shifts)
    words = strongest({word: abs(value) for word, value in total.items()}, held, most, fewest_texts)
    value, present = dense(shifts, words)
    differences = draws.means(value, present)
    olds, news = (dense(side, words)[0].sum(axis=0) for side in (before, after))
    logits = np.array([[b.logit - a.logit] for a, b in zip(old, new, strict=True)])
    return Contrast(
        method,
        count,
        draws.means(logits, np.ones_like(logits))[0],
        tuple(
            WordShift(
                word=word,
                old=float(olds[at]) / held[word],
                new=float(news[at]) / held[word],
                difference=differences[at],
                texts=held[word],
                share=held[word] / count,
            )
            for at, word in enumerate(words)
        ),
    )
