"""The whole way from a source's table to split messages, one step after the other."""

from __future__ import annotations

import pandas as pd

from rampart.data.campaigns import assign_campaigns
from rampart.data.duplicates import deduplicate
from rampart.data.messages import to_messages
from rampart.data.schema import MESSAGES, RAW, validate
from rampart.data.step import Progress, Step, concat_rejects
from rampart.errors import DataError


def prepare(raw: pd.DataFrame, on_progress: Progress | None = None) -> Step:
    """Parse, clean, de-duplicate, and find campaigns.

    Args:
        raw: a `RAW` table.
        on_progress: called with rows done and rows in all, while parsing.

    Raises:
        DataError: the table breaks its schema, or no row can be used.
    """
    read = to_messages(validate(raw, RAW), on_progress)
    unique = deduplicate(read.rows)
    rejects = concat_rejects(read.rejects, unique.rejects)
    if not len(unique.rows):
        reasons = ", ".join(f"{count} {reason}" for reason, count in reason_counts(rejects).items())
        raise DataError(
            f"None of the {len(raw)} rows can be used: {reasons}.", "Give messages with text."
        )
    return Step(validate(assign_campaigns(unique.rows), MESSAGES), rejects)


def reason_counts(rejects: pd.DataFrame) -> dict[str, int]:
    """How many rows were rejected for each reason, most first."""
    return {str(reason): int(count) for reason, count in rejects["reason"].value_counts().items()}
