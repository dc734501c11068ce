"""What faithfulness comes to over many texts, and one method against another on the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.explain.faithfulness import Faithfulness
from rampart.features.base import Floats
from rampart.resampling import RESAMPLES, Interval, Resamples


@dataclass(frozen=True, slots=True)
class FaithfulnessSummary:
    """One method over n texts: means, with where 95 % of their resamples lie.

    Attributes:
        method: its name.
        texts: n.
        shares: of the words, in (0, 1], that `deletion` and `insertion` are at.
        deletion: see `Faithfulness`, as all of the rest.
        insertion: at each share.
        comprehensiveness: of the n texts.
        sufficiency: of the n texts.
        infidelity: of the n texts.
        misfit: of those where it is defined; None where it nowhere is.
        calls: of the method, for one text.
        seconds: of the method, for one text.
    """

    method: str
    texts: int
    shares: tuple[float, ...]
    deletion: tuple[Interval, ...]
    insertion: tuple[Interval, ...]
    comprehensiveness: Interval
    sufficiency: Interval
    infidelity: Interval
    misfit: Interval | None
    calls: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Advantage:
    """What a method's deletion has over another's, paired by text.

    Attributes:
        methods: ours and theirs.
        texts: that both explained.
        shares: of the words that went.
        difference: mean of ours less theirs at each share; more is better for ours.
        ratio: our mean over theirs; None where theirs is not above 0.
    """

    methods: tuple[str, str]
    texts: int
    shares: tuple[float, ...]
    difference: tuple[Interval, ...]
    ratio: tuple[Interval | None, ...]


def summarise(
    measured: Sequence[Faithfulness],
    *,
    campaigns: Sequence[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FaithfulnessSummary:
    """Bring together what was measured of one method on n texts.

    Args:
        measured: one for each text.
        campaigns: of each text, [n]; whole campaigns are resampled.
        resamples: how many; 95 % intervals want 1000.
        seed: of the draws.

    Raises:
        InputError: there is no text, or they are of several methods or shares.
    """
    draws = Resamples(campaigns, len(measured), resamples, seed)
    first = _alike(measured)

    def columns(of: Callable[[Faithfulness], Sequence[float]]) -> tuple[Interval, ...]:
        value = _table(measured, of)
        return tuple(draws.means(value, np.ones_like(value)))

    plain = columns(lambda one: (one.comprehensiveness, one.sufficiency, one.infidelity))
    fits = _table(measured, lambda one: (one.misfit or 0.0,))
    has = _table(measured, lambda one: (float(one.misfit is not None),))
    return FaithfulnessSummary(
        method=first.method,
        texts=len(measured),
        shares=first.shares,
        deletion=columns(lambda one: one.deletion),
        insertion=columns(lambda one: one.insertion),
        comprehensiveness=plain[0],
        sufficiency=plain[1],
        infidelity=plain[2],
        misfit=draws.means(fits, has)[0] if has.any() else None,
        calls=float(np.mean([one.calls for one in measured])),
        seconds=float(np.mean([one.seconds for one in measured])),
    )


def advantage(
    ours: Sequence[Faithfulness],
    theirs: Sequence[Faithfulness],
    *,
    campaigns: Sequence[Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Advantage:
    """Hold one method's deletion curve against another's on the same n texts.

    Args:
        ours: one for each text.
        theirs: of the same texts in the same order.
        campaigns: of each text, [n]; whole campaigns are resampled.
        resamples: how many.
        seed: of the draws.

    Raises:
        InputError: there is no text, or they are of different numbers of texts or of other shares.
    """
    if [one.words for one in ours] != [one.words for one in theirs]:
        raise InputError(
            f"{len(ours)} and {len(theirs)} texts were measured, or not the same ones.",
            "Measure both methods on the same texts, in the same order.",
        )
    draws = Resamples(campaigns, len(ours), resamples, seed)
    mine, other = _alike(ours), _alike(theirs)
    if mine.shares != other.shares:
        raise InputError(f"The shares are {mine.shares} and {other.shares}.", "Use the same.")
    up, down = _table(ours, lambda one: one.deletion), _table(theirs, lambda one: one.deletion)
    ratios: list[Interval | None] = [None] * len(mine.shares)
    above = np.flatnonzero(down.sum(axis=0) > 0)
    for column, ratio in zip(above, draws.means(up[:, above], down[:, above]), strict=True):
        ratios[column] = ratio
    return Advantage(
        methods=(mine.method, other.method),
        texts=len(ours),
        shares=mine.shares,
        difference=tuple(draws.means(up - down, np.ones_like(up))),
        ratio=tuple(ratios),
    )


def _table(
    measured: Sequence[Faithfulness], of: Callable[[Faithfulness], Sequence[float]]
) -> Floats:
    return np.array([of(one) for one in measured], dtype=np.float64)


def _alike(measured: Sequence[Faithfulness]) -> Faithfulness:
    kinds = {(one.method, one.shares) for one in measured}
    if len(kinds) != 1:
        raise InputError(
            f"Several methods or shares do not add up: {sorted(kinds)}.",
            "Summarise each by itself.",
        )
    return measured[0]
