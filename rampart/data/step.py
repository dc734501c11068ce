"""What every step from a source to a split gives: the rows kept, and why the rest were not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

Progress = Callable[[int, int], None]
"""Called with what is done and the whole, in one unit; a whole of 0 means that it is unknown."""

REJECT_COLUMNS = ("id", "group", "step", "reason", "detail")


class Reject(NamedTuple):
    """One row that cannot be used, and why.

    Attributes:
        id: the row's id, or its place in its source where it has none.
        group: the file or folder that it came from.
        reason: a few words that are the same for all rows dropped for the same cause.
        detail: the value at fault, or what else tells this row's case from another's.
    """

    id: str
    group: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Step:
    """A step's result.

    Attributes:
        rows: the rows that go on to the next step.
        rejects: the rows that do not; columns id, group, step, reason and detail, all strings.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame


def reject_table(step: str, rejects: Iterable[Reject] = ()) -> pd.DataFrame:
    """Table of what a step dropped; empty, with its columns, where it dropped nothing."""
    rows = [(item.id, item.group, step, item.reason, item.detail) for item in rejects]
    return pd.DataFrame(rows, columns=list(REJECT_COLUMNS), dtype=object)


def concat_rejects(*tables: pd.DataFrame) -> pd.DataFrame:
    """The rejects of several steps in one table, in the order given."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else reject_table("")


class Ticker:
    """Passes progress on about a hundred times in all, however many rows there are."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self._total = total
        self._report = on_progress
        self._stride = max(1, total // 100)

    def __call__(self, done: int) -> None:
        """Say how many rows are done; what is said too often goes no further."""
        if self._report and (done % self._stride == 0 or done == self._total):
            self._report(done, self._total)
