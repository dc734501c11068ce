"""Explanations of many texts as one: which words weigh over all of them, or over a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.explain.word_values import Row, dense, strongest, totals, word_rows, worth
from rampart.resampling import RESAMPLES, Interval, Resamples

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WordImportance:
    """What one word is worth over n texts.

    Attributes:
        word: see `word_values`.
        importance: mean size of its worth over all n texts, those without it counting 0.
        mean: mean of its worth over the texts that hold it; positive speaks for a threat.
        mean_absolute: mean size of its worth over the texts that hold it.
        count: its spans in all of them.
        texts: how many hold it.
        share: of the n texts.
    """

    word: str
    importance: Interval
    mean: Interval
    mean_absolute: float
    count: int
    texts: int
    share: float


@dataclass(frozen=True, slots=True)
class Importance:
    """The words of `texts` texts by one method, the most important first."""

    method: str
    texts: int
    words: tuple[WordImportance, ...]


def global_importance(
    explained: Iterable[tuple[str, Attribution]],
    *,
    campaigns: Sequence[Any] | None = None,
    most: int = 100,
    fewest_texts: int = 1,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Importance:
    """What words are worth over n texts.

    Args:
        explained: texts as sent, each with its explanation, all by one method.
        campaigns: of each text, [n]; None or "" stands for itself. Without, each text does.
        most: words to return.
        fewest_texts: leave out words that fewer texts hold.
        resamples: for the intervals; 95 % want 1000.
        seed: of the draws.

    Raises:
        InputError: there is no text, an explanation is of another text or of another method than
            the first, or the campaigns are of another number of texts.
    """
    method, rows = word_rows(explained)
    draws = Resamples(campaigns, len(rows), resamples, seed)
    return _importance(method, rows, draws, most, fewest_texts)


def importance_by(
    explained: Iterable[tuple[str, Attribution]],
    groups: Sequence[str | None] | Mapping[str, Mask],
    *,
    campaigns: Sequence[Any] | None = None,
    fewest: int = 1,
    most: int = 100,
    fewest_texts: int = 1,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Importance]:
    """`global_importance` of each group of n texts, the largest group first.

    Args:
        explained: as there.
        groups: the group of each text, [n] (its campaign, say), where None or "" is none; or masks
            [n] by name, which may overlap, as slices do.
        campaigns: as there.
        fewest: leave out groups of fewer texts; empty ones always are.
        most: as there.
        fewest_texts: as there.
        resamples: as there.
        seed: as there.

    Raises:
        InputError: as there, or the groups are of another number of texts.
    """
    method, rows = word_rows(explained)
    members = _members(groups)
    for name, given in (("campaigns", campaigns), *_sized(groups)):
        if given is not None and len(given) != len(rows):
            raise InputError(f"{name} is of {len(given)} texts, not of {len(rows)}.")
    found = {}
    for name in sorted(members, key=lambda name: -len(members[name])):
        own = members[name]
        if len(own) >= max(1, fewest):
            labels = None if campaigns is None else [campaigns[row] for row in own]
            draws = Resamples(labels, len(own), resamples, seed)
            some = [rows[row] for row in own]
            found[name] = _importance(method, some, draws, most, fewest_texts)
    return found


def _importance(
    method: str, rows: Sequence[Row], draws: Resamples, most: int, fewest_texts: int
) -> Importance:
    held, size = totals([{word: abs(value) for word, (value, _) in row.items()} for row in rows])
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({word: count for word, (_, count) in row.items()})
    words = strongest(size, held, most, fewest_texts)
    value, present = dense([worth(row) for row in rows], words)
    importance = draws.means(np.abs(value), np.ones_like(value))
    mean = draws.means(value, present)
    return Importance(
        method,
        len(rows),
        tuple(
            WordImportance(
                word=word,
                importance=importance[at],
                mean=mean[at],
                mean_absolute=size[word] / held[word],
                count=counts[word],
                texts=held[word],
                share=held[word] / len(rows),
            )
            for at, word in enumerate(words)
        ),
    )


def _sized(groups: Sequence[str | None] | Mapping[str, Mask]) -> list[tuple[str, Any]]:
    """What has to be as long as there are texts."""
    return list(groups.items()) if isinstance(groups, Mapping) else [("groups", groups)]


def _members(groups: Sequence[str | None] | Mapping[str, Mask]) -> dict[str, list[int]]:
    """The texts of each group."""
    if isinstance(groups, Mapping):
        return {name: np.flatnonzero(mask).tolist() for name, mask in groups.items()}
    found: dict[str, list[int]] = {}
    for row, name in enumerate(groups):
        if name:
            found.setdefault(name, []).append(row)
    return found
