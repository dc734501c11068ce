"""Texts with their labels: what every fit and every measurement takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    def of_part(cls, path: str | Path, column: str, part: str, *, most: int, seed: int) -> Labelled:
        """At most `most` rows of a part, `sampled` without the others in memory.

        Args:
            path: of a `SPLIT` table of any size.
            column: the split.
            part: of it.
            most: rows that are wanted.
            seed: of the draw.

        Raises:
            DataError: the table or one of its columns cannot be read.
        """
        # Not above: what answers has labelled texts, too, and no Arrow.
        import pyarrow as pa

        from rampart.data.shards import read_batches, small_columns

        small = small_columns(path, ("label", column))
        chosen = (small[column] == part).to_numpy()
        if chosen.sum() > most:
            places = np.flatnonzero(chosen)
            labels = small["label"].to_numpy(dtype=np.int8)[places]
            chosen[:] = False
            chosen[places[_drawn(labels, most, seed)]] = True
        begins, read = 0, []
        for batch in read_batches(path, ["clean", "label", "text", "campaign"]):
            wanted = pa.array(chosen[begins : begins + batch.num_rows])
            read.append(batch.filter(wanted).to_pandas())
            begins += batch.num_rows
        return cls.of(pd.concat(read, ignore_index=True))

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
        return self.rows(_drawn(self.labels, size, seed))


def _drawn(labels: NDArray[np.int8], size: int, seed: int) -> NDArray[np.int64]:
    """Places of `size` labels, ascending, with the classes' shares kept."""
    rng = np.random.default_rng(seed)
    threats, harmless = (np.flatnonzero(labels == label) for label in (1, 0))
    share = round(size * len(threats) / len(labels))
    # One of each class at the least, where there is one.
    lowest, highest = min(1, len(threats)), size - min(1, len(harmless))
    count = max(lowest, min(share, highest))
    drawn = rng.permutation(threats)[:count], rng.permutation(harmless)[: size - count]
    return np.sort(np.concatenate(drawn))
