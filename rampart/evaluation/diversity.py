"""How differently models err: what an ensemble of them has to live on.

Source: Kuncheva and Whitaker, "Measures of diversity in classifier ensembles", 2003.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rampart.models.base import Floats


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same rows, at their own thresholds.

    Attributes:
        models: their names.
        q: Yule's Q, 1 where they err on the same rows, 0 where independently, below where they
            make up for each other; None where a kind of row that it divides by is not there.
        alone: share of rows that the first gets wrong and the second right, and the reverse.
        double_fault: share of rows on which both are wrong.
        shared_errors: share of the rows that either gets wrong on which both are wrong; None where
            neither errs.
    """

    models: tuple[str, str]
    q: float | None
    alone: tuple[float, float]
    double_fault: float
    shared_errors: float | None

    @property
    def disagreement(self) -> float:
        """Share of rows on which one is right and the other wrong."""
        return sum(self.alone)


def diversity(
    probabilities: Mapping[str, Floats],
    thresholds: Mapping[str, float],
    labels: NDArray[np.int8],
) -> list[Pair]:
    """Each pair of models, in the order given.

    Args:
        probabilities: of a threat by model, [n].
        thresholds: from which each model calls a row a threat.
        labels: 0 and 1, [n]; n is at least 1.
    """
    right = {
        name: (values >= thresholds[name]) == (labels == 1)
        for name, values in probabilities.items()
    }
    return [_pair(one, other, right[one], right[other]) for one, other in combinations(right, 2)]


def _pair(one: str, other: str, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Pair:
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    other_alone, alone = int((first & ~second).sum()), int((~first & second).sum())
    rows = len(first)
    agreeing, crossing = both * neither, alone * other_alone
    errors = neither + alone + other_alone
    return Pair(
        (one, other),
        (agreeing - crossing) / (agreeing + crossing) if agreeing + crossing else None,
        (alone / rows, other_alone / rows),
        neither / rows,
        neither / errors if errors else None,
    )
