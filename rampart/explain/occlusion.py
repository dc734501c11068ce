"""Occlusion: what the logit loses when a word, or a phrase, is taken out of the text.

It is the plainest yardstick there is, at one evaluation a word, and blind to words that stand in
for each other: where two say the same, taking one of them out changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InputError
from rampart.explain.attribution import Attribution, Budget, Score
from rampart.explain.metering import Meter
from rampart.explain.units import Units
from rampart.models.base import Ints

METHOD = "occlusion"


def occlusion(
    score: Score,
    text: str,
    *,
    window: int = 1,
    budget: Budget | None = None,
    limit: int = 200,
    batch: int = 32,
) -> Attribution:
    """Explain a text word by word; `base` is the logit of the text without its words.

    Args:
        score: logits of texts.
        text: as sent.
        window: neighbouring words that are taken out together. With more than one, a word's value
            is the mean, over the windows that it is in, of its even share of what each loses.
        budget: with fewer evaluations than words, words are grouped into runs; words that there
            was no time for get no value.
        limit: words at the most; more are grouped into runs.
        batch: texts scored at once.

    Raises:
        InputError: the window is empty, or the model gives no finite logit for each text.
    """
    budget = budget or Budget()
    words = len(Units.of(text, limit))
    meter, first, size = _begun(score, text, window, budget, limit, batch)
    found = meter(_without(first, size, len(meter.units)))
    order = _spread(len(first))[: len(found)]
    total, seen = np.zeros(len(meter.units)), np.zeros(len(meter.units))
    for at, logit in zip(first[order].tolist(), found.tolist(), strict=True):
        total[at : at + size] += (meter.logit - logit) / size
        seen[at : at + size] += 1
    complete = len(found) == len(first) and len(meter.units) == words
    return meter.attribution(total / np.maximum(seen, 1), method=METHOD, complete=complete)


def phrases(
    score: Score,
    text: str,
    *,
    length: int = 3,
    top_k: int = 10,
    budget: Budget | None = None,
    limit: int = 200,
    batch: int = 32,
) -> Attribution:
    """The strongest phrases of a text that do not overlap, and what the logit loses by each.

    Args:
        score: logits of texts.
        text: as sent.
        length: words in a phrase.
        top_k: phrases at the most.
        budget: as for `occlusion`.
        limit: words at the most; more are grouped into runs.
        batch: texts scored at once.

    Raises:
        InputError: a phrase has no word, or the model gives no finite logit for each text.
    """
    budget = budget or Budget()
    words = len(Units.of(text, limit))
    meter, first, size = _begun(score, text, length, budget, limit, batch)
    units = meter.units
    found = meter(_without(first, size, len(units)))
    heads = first[_spread(len(first))[: len(found)]]
    lost = meter.logit - found
    free = np.ones(len(units), dtype=bool)
    chosen: list[int] = []
    for row in np.lexsort((heads, -np.abs(lost))).tolist():
        span = slice(heads[row], heads[row] + size)
        if len(chosen) < top_k and free[span].all():
            free[span] = False
            chosen.append(row)
    chosen.sort(key=lambda row: int(heads[row]))
    result = meter.attribution(
        np.zeros(len(units)),
        method=f"{METHOD} of phrases",
        complete=len(found) == len(first) and len(units) == words,
    )
    return Attribution(
        start=units.start[heads[chosen]],
        end=units.end[heads[chosen] + size - 1],
        value=lost[chosen],
        base=result.base,
        logit=result.logit,
        method=result.method,
        calls=result.calls,
        seconds=result.seconds,
        complete=result.complete,
    )


def _begun(
    score: Score, text: str, window: int, budget: Budget, limit: int, batch: int
) -> tuple[Meter, Ints, int]:
    """The meter, the first unit of each window, and how many units a window has."""
    if window < 1:
        raise InputError(f"A window of {window} words takes nothing out.", "Give at least 1.")
    # Runs of words that all have a value say more than words that mostly have none.
    limit = max(1, min(limit, budget.evaluations - 2))
    meter = Meter(score, Units.of(text, limit), budget, batch)
    size = min(window, len(meter.units))
    windows = len(meter.units) - size + 1 if size else 0
    return meter, np.arange(windows), size


def _spread(count: int) -> Ints:
    """The numbers below `count`, so ordered that the first of them lie all over the text.

    They go by their bits read backwards, as van der Corput's sequence does: where the time is up
    before all were scored, no part of the text was left out.
    """
    width = max(1, (count - 1).bit_length())
    numbers = np.arange(count, dtype=np.int64)
    backwards = np.zeros(count, dtype=np.int64)
    for bit in range(width):
        backwards |= (numbers >> bit & 1) << (width - 1 - bit)
    return np.argsort(backwards, kind="stable")


def _without(first: Ints, size: int, count: int) -> NDArray[np.bool_]:
    """Which of `count` units stay when each window goes, bool [n, count], in `_spread`'s order."""
    keeps = np.ones((len(first), count), dtype=bool)
    rows = np.arange(len(first))
    for step in range(size):
        keeps[rows, first[_spread(len(first))] + step] = False
    return keeps
