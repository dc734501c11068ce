"""Texts with their labels: what every fit and every measurement takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Labelled:
    """Clean texts, n of them, and their labels 0 and 1, int8 [n]."""

    texts: Sequence[str]
    labels: NDArray[np.int8]

    @classmethod
    def part(cls, table: pd.DataFrame, column: str, part: str) -> Labelled:
        """The rows of a `SPLIT` table that its split column puts into a part."""
        rows = table[table[column] == part]
        return cls(rows["clean"].tolist(), rows["label"].to_numpy(dtype=np.int8))

    def sampled(self, size: int | None, seed: int) -> Labelled:
        """At most `size` of them, with the classes' shares kept."""
        if size is None or size >= len(self.texts):
            return self
        rng = np.random.default_rng(seed)
        threats, harmless = (np.flatnonzero(self.labels == label) for label in (1, 0))
        share = round(size * len(threats) / len(self.texts))
        # One of each class at the least, where there is one.
        lowest, highest = min(1, len(threats)), size - min(1, len(harmless))
        count = max(lowest, min(share, highest))
        drawn = rng.permutation(threats)[:count], rng.permutation(harmless)[: size - count]
        chosen = np.sort(np.concatenate(drawn))
        return Labelled([self.texts[row] for row in chosen], self.labels[chosen])
