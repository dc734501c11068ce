"""Shapley values of a text's words, by SHAP's Partition explainer over a balanced tree of words.

The tree halves the text again and again, so that what is credited together are neighbours; the
values are Owen values of that tree, and Shapley values where the words add up (Lundberg and Lee,
2017). They sum to the logit less that of the text without words, whatever the budget: groups that
it does not suffice to part share their value evenly.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.explain.attribution import Attribution, Budget, Score
from rampart.explain.metering import Meter
from rampart.explain.units import Units
from rampart.features.base import Floats

METHOD = "shap"
# SHAP draws from numpy's global state, which is one for all threads.
_DRAWING = threading.Lock()


def shap_values(
    score: Score,
    text: str,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    limit: int = 200,
    batch: int = 32,
) -> Attribution:
    """Explain a text by SHAP; `base` is the logit of the text without its words.

    Args:
        score: logits of texts.
        text: as sent.
        budget: to part m words takes about m (m - 1) evaluations; with fewer, the groups that
            matter most are parted first.
        seed: decides which of two groups that matter alike is parted first.
        limit: words at the most; more are grouped into runs.
        batch: texts scored at once. It decides in which order groups are parted, too.

    Raises:
        InputError: the model gives no finite logit for each text.
    """
    _explainer()  # What it takes to import and compile is not the text's to pay.
    meter = Meter(score, Units.of(text, limit), budget or Budget(), batch)
    count = len(meter.units)
    if count < 2:
        value = np.full(count, meter.logit - meter.base)
        return meter.attribution(value, method=METHOD, seed=seed, complete=True)
    tree = balanced_tree(count)
    coalitions = _Coalitions(meter)
    wanted = _evaluations(tree)
    allowed = min(meter.left // 2 * 2, wanted)
    try:
        value = _partition(coalitions, tree, allowed, seed, batch)
    except _Spent:
        # The clock cannot stop SHAP between two batches, a number of evaluations can: the same
        # way once more, through what was kept.
        allowed = (len(coalitions.known) - 2) // 2 * 2
        value = _partition(coalitions, tree, allowed, seed, batch)
    return meter.attribution(value, method=METHOD, seed=seed, complete=allowed >= wanted)


def balanced_tree(count: int) -> Floats:
    """A binary tree over `count` neighbours, float64 [count - 1, 4], as scipy's linkage has it.

    Each row joins two nodes (leaves are 0 to count - 1, row r is node count + r) and gives their
    distance and the number of leaves; neighbours are joined in rounds, so that no leaf lies deeper
    than the logarithm of `count`.
    """
    rows: list[tuple[int, int, float, int]] = []
    level = [(leaf, 1) for leaf in range(count)]
    while len(level) > 1:
        joined = []
        for at in range(0, len(level) - 1, 2):
            (left, ours), (right, theirs) = level[at], level[at + 1]
            rows.append((left, right, float(ours + theirs), ours + theirs))
            joined.append((count + len(rows) - 1, ours + theirs))
        level = joined + level[len(level) // 2 * 2 :]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _evaluations(tree: Floats) -> int:
    """How many it takes to part every group: two for each in each of its 2^depth contexts."""
    count = len(tree) + 1
    contexts = [1] * len(tree)
    total = 0
    for row in range(len(tree) - 1, -1, -1):
        total += 2 * contexts[row]
        for child in tree[row, :2].astype(int).tolist():
            if child >= count:
                contexts[child - count] = 2 * contexts[row]
    return total


class _Spent(Exception):  # noqa: N818 - no error: it leaves SHAP's own loop
    """The time is up."""


class _Coalitions:
    """Logits of sets of words, each scored once.

    Attributes:
        known: sets, as the bytes of their masks, to their logits.
    """

    def __init__(self, meter: Meter) -> None:
        self.known: dict[bytes, float] = {}
        self._meter = meter
        for keep, logit in ((False, meter.base), (True, meter.logit)):
            self.known[np.full(len(meter.units), keep).tobytes()] = logit

    def __call__(self, keeps: NDArray[np.bool_]) -> Floats:
        keys = [keep.tobytes() for keep in keeps]
        fresh = [row for row, key in enumerate(keys) if key not in self.known]
        if fresh:
            found = self._meter(keeps[fresh])
            scored = [keys[row] for row in fresh[: len(found)]]
            self.known.update(zip(scored, found.tolist(), strict=True))
            if len(found) < len(fresh):
                raise _Spent
        return np.array([self.known[key] for key in keys])


class _Masker:
    """Tells SHAP that what is masked is the mask itself: texts are made by the meter."""

    immutable_outputs = True

    def __init__(self, tree: Floats) -> None:
        self.clustering = tree
        self.shape = (1, len(tree) + 1)

    def __call__(self, mask: NDArray[np.bool_], *_: Any) -> tuple[NDArray[np.bool_]]:
        return (mask[None].copy(),)


def _partition(
    coalitions: Callable[[NDArray[np.bool_]], Floats],
    tree: Floats,
    evaluations: int,
    seed: int,
    batch: int,
) -> Floats:
    explainer = _explainer()(coalitions, _Masker(tree))
    with _seeded(seed):
        return _explained(explainer, tree, evaluations, batch)


def _explained(explainer: Any, tree: Floats, evaluations: int, batch: int) -> Floats:
    found = explainer.explain_row(
        np.ones((1, len(tree) + 1)),
        max_evals=evaluations + 2,
        main_effects=False,
        error_bounds=False,
        batch_size=max(2, batch),
        outputs=None,
        silent=True,
    )
    value: Floats = np.asarray(found["values"], dtype=np.float64)
    return value


@cache
def _explainer() -> Any:
    """SHAP's class, imported and with its loops compiled, which takes seconds, once."""
    with warnings.catch_warnings():
        # matplotlib on SHAP's colours, which are not wanted here.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from shap.explainers import PartitionExplainer

    tree = balanced_tree(2)
    explainer = PartitionExplainer(lambda keeps: keeps.sum(axis=1) * 1.0, _Masker(tree))
    with _seeded(0):
        _explained(explainer, tree, 2, 2)
    return PartitionExplainer


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global state, and leave it as it was."""
    with _DRAWING:
        before = np.random.get_state()  # noqa: NPY002 - SHAP draws from no other
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
