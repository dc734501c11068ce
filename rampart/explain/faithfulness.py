"""How far an explanation is true of its model: what becomes of the logit when words go.

Every measure takes words out of a text as sent and scores what is left, so that methods of any
kind are held to the same words, the same deletions and the same draws. What no reader sees (an
address behind a link) stays in place for all of them.

Sources: deletion and insertion, Petsiuk, Das and Saenko, 2018; comprehensiveness and sufficiency,
DeYoung et al., "ERASER", 2020; infidelity, Yeh et al., 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InputError
from rampart.explain.attribution import Attribution, Score
from rampart.explain.metering import logits
from rampart.explain.units import Units
from rampart.features.base import Floats
from rampart.models.base import sigmoid

# ERASER's own. At least one word goes, so that they all say something of a short text.
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
Keeps = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What was measured of one method's explanation of one text.

    Attributes:
        method: that gave the explanation.
        words: of the text.
        shares: of the words that go, or come, those that speak most for the verdict first.
        deletion: what the logit loses towards the other class when they go, one for each share;
            more is better.
        insertion: what the logit of the text without words gains towards the verdict's class when
            they come; more is better.
        comprehensiveness: what the probability of the verdict's class loses when they go, mean
            over the shares; more is better.
        sufficiency: what it loses when they alone stay; less is better.
        infidelity: mean squared difference between what random words are worth by the explanation
            and what the logit loses without them; less is better.
        misfit: the same at the scale that suits the explanation best, as a share of the mean
            square of what the logit loses, 0 to 1: it asks for proportions alone. None where
            nothing that was deleted changed the logit.
        calls: texts that the method scored.
        seconds: that it took.
    """

    method: str
    words: int
    shares: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    comprehensiveness: float
    sufficiency: float
    infidelity: float
    misfit: float | None
    calls: int
    seconds: float


def faithfulness(
    score: Score,
    text: str,
    attributions: Sequence[Attribution],
    *,
    shares: Sequence[float] = SHARES,
    perturbations: int = 30,
    seed: int = 0,
    batch: int = 32,
) -> list[Faithfulness]:
    """Measure several explanations of one text on the same deletions.

    Args:
        score: logits of texts: those of the model that was explained.
        text: that was explained, as sent.
        attributions: of that text, by as many methods as there are to compare.
        shares: of the words, in (0, 1].
        perturbations: random deletions for the infidelity.
        seed: of those, and of the order of words that are worth the same.
        batch: texts scored at once.

    Returns:
        One for each explanation, in their order.

    Raises:
        InputError: the text has no words, an explanation is of another text, a share is not one,
            or there are no perturbations.
    """
    if not shares or not all(0 < share <= 1 for share in shares):
        raise InputError(f"The shares are {tuple(shares)}.", "Give some, over 0 and up to 1.")
    if perturbations < 1:
        raise InputError(f"There are {perturbations} perturbations.", "Ask for at least one.")
    units = Units.of(text)
    if not len(units):
        raise InputError("The text has no word that could be taken out.", "Leave it out.")
    draw = np.random.default_rng(seed)
    lots = draw.permutation(len(units))
    random = ~_random(len(units), perturbations, draw)
    worths = [attribution.on(units) for attribution in attributions]
    ends = np.array([[False], [True]]).repeat(len(units), axis=1)
    base, logit, *changed = _scored(score, units, np.concatenate([ends, random]), batch)
    direction = 1.0 if logit > 0 else -1.0
    chosen = [_strongest(direction * worth, lots, shares) for worth in worths]
    rows = [half for first in chosen for half in (~first, first)]
    found = _scored(score, units, np.concatenate([ends[:0], *rows]), batch)
    curves = np.array(found).reshape(len(worths), 2, len(shares))
    lost = logit - np.array(changed)
    return [
        Faithfulness(
            method=attribution.method,
            words=len(units),
            shares=tuple(shares),
            deletion=tuple((direction * (logit - without)).tolist()),
            insertion=tuple((direction * (alone - base)).tolist()),
            comprehensiveness=_probability_lost(logit, without, direction),
            sufficiency=_probability_lost(logit, alone, direction),
            infidelity=float(np.mean((~random @ worth - lost) ** 2)),
            misfit=_misfit(~random @ worth, lost),
            calls=attribution.calls,
            seconds=attribution.seconds,
        )
        for attribution, worth, (without, alone) in zip(attributions, worths, curves, strict=True)
    ]


def at_random(score: Score, text: str, *, seed: int = 0) -> Attribution:
    """Values that know nothing of the text: what any method has to be better than."""
    units = Units.of(text)
    return Attribution(
        start=units.start,
        end=units.end,
        value=np.random.default_rng(seed).normal(size=len(units)),
        base=0.0,
        logit=float(logits(score, [text])[0]),
        method="random",
        seed=seed,
        calls=1,
    )


def _strongest(worth: Floats, lots: NDArray[np.int64], shares: Sequence[float]) -> Keeps:
    """The words worth most, bool [shares, m]; among equals lots decide, not their place."""
    rank = np.empty(len(worth), dtype=np.int64)
    rank[np.lexsort((lots, -worth))] = np.arange(len(worth))
    sizes = [max(1, round(share * len(worth))) for share in shares]
    return rank < np.array(sizes)[:, None]


def _random(words: int, count: int, draw: np.random.Generator) -> Keeps:
    """Words that go at random, bool [count, words]: one of them, then ever more, up to half."""
    gone = np.zeros((count, words), dtype=bool)
    for row in range(count):
        share = (0.0, *SHARES[1:])[row % len(SHARES)]
        gone[row, draw.choice(words, max(1, round(share * words)), replace=False)] = True
    return gone


def _scored(score: Score, units: Units, keeps: Keeps, batch: int) -> list[float]:
    """Logits of the text with those words alone; what is asked twice is scored once."""
    keys = [keep.tobytes() for keep in keeps]
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    fresh = list(first.values())
    found = logits(score, units.texts(keeps[fresh]), batch).tolist()
    known = dict(zip(first, found, strict=True))
    return [known[key] for key in keys]


def _probability_lost(logit: float, others: Floats, direction: float) -> float:
    whole = sigmoid(np.array([direction * logit]))[0]
    return float(np.mean(whole - sigmoid(direction * others)))


def _misfit(told: Floats, lost: Floats) -> float | None:
    size = float(lost @ lost)
    if not size:
        return None
    square = float(told @ told)
    scale = max(0.0, float(told @ lost)) / square if square else 0.0
    return float(np.sum((scale * told - lost) ** 2)) / size
