"""What every explanation method gives: spans of a text and what each is worth to its logit.

Methods see a model as a function from texts to logits, and say beside their values what they cost
and whether their budget sufficed, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.explain.contributions import Contributions
from rampart.explain.units import Units
from rampart.features.base import Floats, Span
from rampart.models.base import Ints

# Logits, float64 [n], of n texts as sent; positive means threat.
Score = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one explanation may spend.

    Attributes:
        evaluations: texts that may be scored, the text itself and the one without any word
            included.
        seconds: on the clock; None for no limit. What every explanation rests on (the text itself
            and the one without any word) is scored in any case.
    """

    evaluations: int = 500
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.evaluations < 2:
            raise InputError(
                f"A budget of {self.evaluations} evaluations explains nothing.", "Give at least 2."
            )
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"A budget of {self.seconds} seconds is none.", "Give more than 0.")


@dataclass(frozen=True, slots=True)
class Attribution:
    """What m spans of one text are worth to its logit.

    Attributes:
        start: offsets of the spans in the text as it was sent, in code points, int64 [m],
            ascending; spans may overlap.
        end: offsets behind them, int64 [m].
        value: what each is worth, float64 [m]; positive speaks for a threat.
        base: what the method starts from: the logit of the text without its words, the bias of a
            sum, or the intercept of a fitted one.
        logit: of the text.
        method: its name.
        seed: of its draws; None where it draws nothing.
        calls: texts scored for it.
        seconds: that it took.
        complete: whether its budget sufficed.

    Raises:
        InputError: the columns differ in length, a span is empty or out of order, or a number is
            not finite.
    """

    start: Ints
    end: Ints
    value: Floats
    base: float
    logit: float
    method: str
    seed: int | None = None
    calls: int = 0
    seconds: float = 0.0
    complete: bool = True

    def __post_init__(self) -> None:
        sizes = len(self.start), len(self.end), len(self.value)
        if len(set(sizes)) > 1:
            raise InputError(f"Starts, ends and values are of different numbers: {sizes}.")
        if np.any(self.start < 0) or np.any(self.start >= self.end):
            raise InputError(f"A span of {self.method} is empty or starts before the text.")
        if np.any(np.diff(self.start) < 0):
            raise InputError(f"The spans of {self.method} are out of order.", "Sort them by start.")
        if not np.isfinite([*self.value.tolist(), self.base, self.logit]).all():
            raise InputError(f"A number of {self.method} is not finite.", "Look at the model.")

    def __len__(self) -> int:
        return len(self.value)

    @property
    def unexplained(self) -> float:
        """What `base` and the values together miss of the logit; 0 to rounding for a sum."""
        return self.logit - self.base - float(self.value.sum())

    def check(self, text: str) -> None:
        """Refuse a text that the spans do not lie in.

        Raises:
            InputError: a span ends behind the text.
        """
        last = int(self.end.max()) if len(self) else 0
        if last > len(text):
            raise InputError(
                f"A span of {self.method} ends at {last}, the text at {len(text)}.",
                "Pass the text that was explained, as it was sent.",
            )

    def on(self, units: Units) -> Floats:
        """The values brought onto the units of its text, float64 [len(units)]; see `Units`."""
        self.check(units.source)
        return units.values(self.start, self.end, self.value)[0]

    def as_document(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            "method": self.method,
            "start": self.start.tolist(),
            "end": self.end.tolist(),
            "value": self.value.tolist(),
            "base": float(self.base),
            "logit": float(self.logit),
            "seed": self.seed,
            "calls": self.calls,
            "seconds": float(self.seconds),
            "complete": self.complete,
        }


def words(text: str) -> list[Span]:
    """The words and signs that a reader sees, as spans [start, end) of the text as sent.

    A word may hold tags (`mo<b></b>ney`); a very long one comes in pieces.
    """
    units = Units.of(text)
    return list(zip(units.start.tolist(), units.end.tolist(), strict=True))


def from_contributions(
    parts: Contributions, *, method: str = "contributions", calls: int = 0, seconds: float = 0.0
) -> Attribution:
    """The contributions that a verdict carries, in the order of the text.

    Args:
        parts: of one text, all or its strongest.
        method: what gave them.
        calls: texts scored for them; none where they came with the verdict.
        seconds: that they took beyond the verdict.
    """
    order = np.lexsort((parts.end, parts.start))
    return Attribution(
        start=parts.start[order],
        end=parts.end[order],
        value=parts.value[order],
        base=parts.bias,
        logit=parts.bias + float(parts.value.sum()),
        method=method,
        calls=calls,
        seconds=seconds,
    )
