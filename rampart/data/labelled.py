"""Texts with their labels: what every fit and every measurement takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText, clean


@dataclass(frozen=True)
class Labelled:
    """Clean texts, n of them, and what is known of each.

    Attributes:
        texts: as `clean` leaves them.
        labels: 0 and 1, int8 [n].
        sent: the same as they were sent; where there are none, the clean ones are taken for them.
        campaigns: name of each text's campaign; where there are none, each is one of its own.
    """

    texts: Sequence[str]
    labels: NDArray[np.int8]
    sent: Sequence[str] = ()
    campaigns: Sequence[str] = ()

    @classmethod
    def part(cls, table: pd.DataFrame, column: str, part: str) -> Labelled:
        """The rows of a `SPLIT` table that its split column puts into a part."""
        return cls.of(table[table[column] == part])

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Labelled:
        """All rows of a table of messages."""
        return cls(
            rows["clean"].tolist(),
            rows["label"].to_numpy(dtype=np.int8),
            rows["text"].tolist(),
            rows["campaign"].tolist(),
        )

    def aligned(self) -> list[AlignedText]:
        """The texts as models take them."""
        if self.sent:
            return [clean(text) for text in self.sent]
        return [AlignedText.plain(text) for text in self.texts]

    def rows(self, chosen: NDArray[np.int64]) -> Labelled:
        """Those of the rows given, in that order."""
        return Labelled(
            [self.texts[row] for row in chosen],
            self.labels[chosen],
            [self.sent[row] for row in chosen] if self.sent else (),
            [self.campaigns[row] for row in chosen] if self.campaigns else (),
        )

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
        return self.rows(np.sort(np.concatenate(drawn)))
