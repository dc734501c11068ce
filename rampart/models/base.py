"""What every base model gives: a logit that is a sum, and the terms of that sum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keep = Callable[[str, Callable[[Path], None]], Path | None]
"""Keeps what is made for this machine: from a key of all that it is made from, and a function that
writes files into a folder, to the folder that holds them; None where nothing can be kept."""

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Terms:
    """One text's logit as a sum: `bias + value.sum()`, to rounding.

    Attributes:
        start: offset of each term's span in the clean text, in code points, int64 [m].
        end: offset behind it, int64 [m]; always greater than `start`.
        value: what the span adds to the logit, float64 [m].
        bias: what no span accounts for.
        of_source: whether the offsets are into the text as sent instead, as those of what a
            reader does not see have to be.
    """

    start: Ints
    end: Ints
    value: Floats
    bias: float
    of_source: bool = False

    def scaled(self, scale: float, shift: float = 0.0) -> Terms:
        """The terms of `scale * logit + shift`."""
        return replace(self, value=self.value * scale, bias=self.bias * scale + shift)


@dataclass(frozen=True, slots=True)
class Scores:
    """A model's answer to n texts: logits, float64 [n], and their terms where they were asked."""

    logit: Floats
    terms: tuple[Terms, ...] | None


class Model(ABC):
    """A base model that scores cleaned texts; loading one runs nobody's code."""

    kind: ClassVar[str]

    @property
    def method(self) -> str:
        """How its terms are come by: `terms` are the sum's own."""
        return "terms"

    @classmethod
    @abstractmethod
    def load(
        cls,
        folder: Path,
        *,
        threads: int | None = None,
        keep: Keep | None = None,
        device: Device = "cpu",
    ) -> Self:
        """Read a model from its folder in a bundle.

        Args:
            folder: of the model.
            threads: to compute with; all cores by default.
            keep: for what it makes of its files for this machine; nothing by default.
            device: to compute on; "auto" is the GPU where there is one. Models that a GPU would not
                make quicker stay on the CPU.

        Raises:
            InputError: there is no such device.
            BundleError: a file is missing or does not hold what it should.
        """

    @abstractmethod
    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        """Logits of cleaned texts; positive means threat."""


def log_losses(logit: Floats, labels: NDArray[np.int8]) -> Floats:
    """Log loss of each logit [n], float64 [n], under its label of 0 or 1."""
    losses: Floats = np.logaddexp(0.0, np.where(labels == 1, -logit, logit))
    return losses


def sigmoid(logit: Floats) -> Floats:
    """Probability of a logit, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logit))


def logit(probability: Floats) -> Floats:
    """Logit of a probability in (0, 1)."""
    return np.log(probability) - np.log1p(-probability)
