"""Rows that cannot be used, in shards, with their reasons counted on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from rampart.data import layouts
from rampart.data.sharding import ShardWriter, writing


class Rejects:
    """Takes tables as `step.reject_table` makes them; made by `rejecting`.

    Attributes:
        reasons: how many rows there were for each.
    """

    def __init__(self, writer: ShardWriter) -> None:
        self._writer = writer
        self.reasons = Counter[str]()

    def write(self, table: pd.DataFrame) -> None:
        """Add rejects."""
        self.reasons.update(table["reason"].tolist())
        self._writer.write(table)

    def counts(self) -> dict[str, int]:
        """How many rows there were for each reason, most first."""
        return dict(self.reasons.most_common())

    def told(self) -> str:
        """The same in words."""
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())


@contextmanager
def rejecting(path: str | Path) -> Iterator[Rejects]:
    """Where rejects go; their dataset, which makes room for itself, appears when the block ends."""
    with writing(path, layouts.REJECTS, replace=True) as writer:
        yield Rejects(writer)
