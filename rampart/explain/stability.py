"""Whether explanations agree: two methods on one text, one method on a text and its like.

An edit that changes nothing for a reader should change nothing in an explanation. Words are matched
by what they say and which of their kind they are, and compared by rank (Spearman), since methods
differ in scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rampart.explain.attribution import Attribution
from rampart.explain.units import Units
from rampart.features.base import Floats

Explain = Callable[[str], Attribution]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How like two explanations of one text are.

    Attributes:
        methods: of the two.
        words: that both have a value for.
        correlation: of their ranks on those, -1 to 1; None where one has no order.
        overlap: share of the strongest words that both have among theirs, 0 to 1; None where
            there is no word.
    """

    methods: tuple[str, str]
    words: int
    correlation: float | None
    overlap: float | None


@dataclass(frozen=True, slots=True)
class Stability:
    """What a harmless edit does to an explanation.

    Attributes:
        method: that explained both texts.
        edit: its name.
        matched: share of the text's words that are found in the edited one, 0 to 1.
        correlation: of the words' ranks before and after; None where there is no order.
        shift: what the edit does to the logit; the larger, the less harmless it was to the model.
    """

    method: str
    edit: str
    matched: float
    correlation: float | None
    shift: float


def agreement(text: str, one: Attribution, other: Attribution, *, top: int = 10) -> Agreement:
    """Hold two explanations of one text against each other.

    Args:
        text: that both explain, as sent.
        one: an explanation.
        other: another.
        top: how many of the words that are worth most, either way, are compared for `overlap`; no
            more than both know.

    Raises:
        InputError: an explanation is of another text.
    """
    units = Units.of(text)
    values, common = [], np.ones(len(units), dtype=bool)
    for attribution in (one, other):
        attribution.check(text)
        value, known = units.values(attribution.start, attribution.end, attribution.value)
        values.append(value)
        common &= known
    ours, theirs = (value[common] for value in values)
    top = min(top, len(ours))
    first, second = (set(np.argsort(-np.abs(v), kind="stable")[:top]) for v in (ours, theirs))
    return Agreement(
        methods=(one.method, other.method),
        words=len(ours),
        correlation=rank_correlation(ours, theirs),
        overlap=len(first & second) / top if top > 0 else None,
    )


def stability(
    explain: Explain, text: str, *, explained: Attribution | None = None, seed: int = 0
) -> list[Stability]:
    """Explain a text again after each harmless edit.

    Args:
        explain: one method with its model, its budget and its seed.
        text: as sent.
        explained: the text's own explanation, where it is at hand.
        seed: of the edits.
    """
    before = explained or explain(text)
    places, value = _worth(text, before)
    found = []
    for edit, edited in harmless_edits(text, seed).items():
        after = explain(edited)
        others, changed = _worth(edited, after)
        both = [place for place in places if place in others]
        ours = value[[places[place] for place in both]]
        theirs = changed[[others[place] for place in both]]
        found.append(
            Stability(
                method=before.method,
                edit=edit,
                matched=len(both) / len(places) if places else 1.0,
                correlation=rank_correlation(ours, theirs),
                shift=after.logit - before.logit,
            )
        )
    return found


def harmless_edits(text: str, seed: int = 0) -> dict[str, str]:
    """A text as it may be sent as well: in small letters, in capitals, with other spacing.

    Tags, addresses behind links, and words with an entity in them stay as they are.
    """
    units = Units.of(text)
    draw = np.random.default_rng(seed)
    wide = draw.random(len(units.segments)) < 0.5
    word = units.owners < len(units)
    small, capital, spaced = list(units.segments), list(units.segments), list(units.segments)
    for at, segment in enumerate(units.segments):
        if word[at] and "&" not in segment:
            small[at], capital[at] = _cased(segment, str.lower), _cased(segment, str.upper)
        elif at and word[at - 1] and not word[at] and segment.startswith(" ") and wide[at]:
            spaced[at] = " " + segment
    edits = {"small letters": small, "capitals": capital, "spacing": spaced}
    return {name: "".join(segments) for name, segments in edits.items()}


def rank_correlation(one: Floats, other: Floats) -> float | None:
    """Spearman's, with mean ranks for equals; None where one of them has no order."""
    from scipy.stats import rankdata

    if len(one) < 2:
        return None
    ranks = np.stack([rankdata(one), rankdata(other)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    sizes = np.sqrt((ranks**2).sum(axis=1))
    if not sizes.all():
        return None
    return float(np.clip(ranks[0] @ ranks[1] / sizes.prod(), -1.0, 1.0))


def _worth(text: str, attribution: Attribution) -> tuple[dict[tuple[str, int], int], Floats]:
    """Each word, as what it says and which of its kind it is, with its place; and all values."""
    units = Units.of(text)
    kinds: Counter[str] = Counter()
    places: dict[tuple[str, int], int] = {}
    for at, (start, end) in enumerate(zip(units.start.tolist(), units.end.tolist(), strict=True)):
        word = text[start:end].casefold()
        places[word, kinds[word]] = at
        kinds[word] += 1
    return places, attribution.on(units)


def _cased(segment: str, change: Callable[[str], str]) -> str:
    """A word in other letters, but for those that would become several or others."""
    changed = [(sign, change(sign)) for sign in segment]
    return "".join(
        new if len(new) == 1 and new.casefold() == old.casefold() else old for old, new in changed
    )
