"""Scores the texts that a method asks for while its budget lasts, and counts what was spent."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from rampart.errors import InputError
from rampart.explain.attribution import Attribution, Budget, Score
from rampart.explain.units import Units
from rampart.features.base import Floats


def logits(score: Score, texts: Sequence[str], batch: int = 32) -> Floats:
    """Score n texts in batches, float64 [n].

    Raises:
        InputError: the function gives another number of logits, or one that is not finite.
    """
    found = np.zeros(len(texts))
    for first in range(0, len(texts), batch):
        some = texts[first : first + batch]
        answer = np.asarray(score(some), dtype=np.float64)
        if answer.shape != (len(some),):
            raise InputError(f"{len(some)} texts were scored by an array of {answer.shape}.")
        if not np.isfinite(answer).all():
            raise InputError("A text was given a logit that is not finite.", "Look at the model.")
        found[first : first + batch] = answer
    return found


class Meter:
    """One text in units, scored without some of them while the budget lasts.

    Attributes:
        units: of the text.
        base: the logit of the text without its words.
        logit: of the text.
        calls: texts scored so far.
    """

    def __init__(self, score: Score, units: Units, budget: Budget, batch: int = 32) -> None:
        self.units = units
        self.calls = 0
        self._score = score
        self._budget = budget
        self._batch = max(1, batch)
        self._started = perf_counter()
        self._pace = 0.0
        ends = np.array([[False], [True]]).repeat(len(units), axis=1)
        self.base, self.logit = self._scored(ends).tolist()

    @property
    def left(self) -> int:
        """Evaluations that the budget still holds, whatever the clock says."""
        return max(0, self._budget.evaluations - self.calls)

    @property
    def likely(self) -> int:
        """Evaluations that the budget holds by the clock, too, at the pace of the last batch."""
        if self._budget.seconds is None or not self._pace:
            return self.left
        time = self._budget.seconds - (perf_counter() - self._started)
        return min(self.left, max(0, int(time / self._pace)))

    def __call__(self, keeps: NDArray[np.bool_]) -> Floats:
        """Logits of the text with those units alone that each row of `keeps` [n, m] says.

        Of fewer rows than were asked, from the first on, once the budget is spent.
        """
        found: list[Floats] = []
        asked = keeps[: self.left]
        for first in range(0, len(asked), self._batch):
            some = asked[first : first + self._batch]
            if not self._in_time(len(some)):
                break
            found.append(self._scored(some))
        return np.concatenate([*found, np.zeros(0)])

    def attribution(
        self,
        value: Floats,
        *,
        method: str,
        complete: bool,
        seed: int | None = None,
        base: float | None = None,
    ) -> Attribution:
        """A method's result on the units, with what was spent."""
        return Attribution(
            start=self.units.start,
            end=self.units.end,
            value=value,
            base=self.base if base is None else base,
            logit=self.logit,
            method=method,
            seed=seed,
            calls=self.calls,
            seconds=perf_counter() - self._started,
            complete=complete,
        )

    def _in_time(self, count: int) -> bool:
        """Whether so many texts are likely to be scored before the time is up."""
        if self._budget.seconds is None:
            return True
        spent = perf_counter() - self._started
        return spent + self._pace * count <= self._budget.seconds

    def _scored(self, keeps: NDArray[np.bool_]) -> Floats:
        before = perf_counter()
        found = logits(self._score, self.units.texts(keeps), self._batch)
        self.calls += len(keeps)
        self._pace = (perf_counter() - before) / len(keeps)
        return found
