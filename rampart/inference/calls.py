"""Calls that wait for verdicts, and what of them is scored together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, Self

from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

# What comes with a text whatever its length: special tokens, and the cost of a call.
_OVERHEAD_TOKENS = 16
_CHARACTERS_A_TOKEN = 4
# Of a batch that one call may fill while others wait.
_SHARE = 4


class Begun(Protocol):
    """Texts of which some are settled; `rampart.inference.engine.Scoring` is one."""

    @property
    def settled(self) -> Mapping[int, Verdict]:
        """The verdicts that are there, by row."""

    @property
    def left(self) -> int:
        """Texts that are not settled."""

    def rest_with(self, others: Sequence[Self]) -> Sequence[Mapping[int, Verdict]]:
        """Settle them, together with what others left that were begun with the same options.

        Returns:
            The verdicts by row of each, this one's first.
        """


Begin = Callable[[Sequence[str], ScoreOptions], Begun]


def tokens_of(text: str) -> int:
    """About as many tokens as a text will have: it has not been cut into them yet."""
    return _OVERHEAD_TOKENS + len(text) // _CHARACTERS_A_TOKEN


@dataclass(slots=True)
class Call:
    """Texts that somebody waits for.

    Attributes:
        texts: in his order.
        options: the same for all of them.
        future: his answer.
        found: the verdicts so far, one place for each text.
        left: rows that no batch has taken yet.
        missing: verdicts that are not there.
        begun: when the first batch took one of them.
    """

    texts: Sequence[str]
    options: ScoreOptions
    future: Future[list[Verdict]]
    found: list[Verdict | None]
    left: deque[int]
    missing: int
    begun: float | None = None

    @property
    def gone(self) -> bool:
        """Whether nobody waits for its answer any more."""
        return self.future.done()


@dataclass(slots=True)
class Batch:
    """Texts that are scored in one go: which text of which call each is."""

    options: ScoreOptions
    rows: list[tuple[Call, int]] = field(default_factory=list)
    tokens: int = 0


@dataclass(slots=True)
class Unsettled:
    """What the first lane left of a batch: which row of it is which text of which call.

    Attributes:
        begun: where the texts stand.
        batch: that they were in; its rows are those that are left.
        row_of: the row of each text there.
    """

    begun: Begun
    batch: Batch
    row_of: Mapping[str, int]

    @property
    def gone(self) -> bool:
        """Whether nobody waits for any of it any more."""
        return all(call.gone for call, _ in self.batch.rows)

    @property
    def tokens(self) -> int:
        """About as many as its texts have."""
        return sum(tokens_of(call.texts[row]) for call, row in self.batch.rows)


class Waiting:
    """Calls that are not scored yet; whoever uses it sees to it that nobody else does.

    Attributes:
        calls: in the order that they have their turn.
    """

    def __init__(self, tokens: int) -> None:
        self.calls: list[Call] = []
        self._tokens = tokens

    def gathered(self) -> Batch | None:
        """The next texts to score: of each call in turn its share, till the batch is full."""
        calls = [call for call in self.calls if not call.gone]
        batch = Batch(calls[0].options) if calls else None
        share = self._tokens / (_SHARE if len(calls) > 1 else 1)
        waiting: list[Call] = []
        later: list[Call] = []
        for call in calls:
            if (
                batch is None
                or call.options != batch.options
                or not self._takes(batch, call, share)
            ):
                waiting.append(call)
            elif call.left:
                # Others have their turn before its next slice.
                later.append(call)
        self.calls = [*waiting, *later]
        return batch

    def _takes(self, batch: Batch, call: Call, share: float) -> bool:
        """Put the call's share into the batch; whether anything of it fitted."""
        taken = 0
        while call.left:
            cost = tokens_of(call.texts[call.left[0]])
            full = batch.rows and batch.tokens + cost > self._tokens
            if full or (taken and taken + cost > share):
                break
            batch.rows.append((call, call.left.popleft()))
            batch.tokens += cost
            taken += cost
        if taken and call.begun is None:
            call.begun = perf_counter()
        return bool(taken)


def alike(waiting: deque[Unsettled], most: int) -> list[Unsettled]:
    """Take off the first that somebody waits for, and those behind it that ask as it does.

    Args:
        waiting: in their order; those that nobody waits for are dropped on the way.
        most: tokens that are taken together, about; the first may have more.

    Returns:
        What was taken; nothing where nothing is left.
    """
    taken: list[Unsettled] = []
    tokens = 0
    while waiting:
        one = waiting[0]
        if not one.gone:
            tokens += one.tokens
            if taken and (one.batch.options != taken[0].batch.options or tokens > most):
                break
            taken.append(one)
        waiting.popleft()
    return taken
