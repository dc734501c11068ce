"""Duplicates as a reader sees them: the same words, whatever their case, digits and signs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rampart.data.minhash import normalised
from rampart.data.step import Reject, Step, reject_table

STEP = "deduplicate"


def digest(text: str) -> bytes:
    """SHA-256 of a normalised text: the same for texts that read the same."""
    return hashlib.sha256(text.encode()).digest()


def deduplicate(messages: pd.DataFrame) -> Step:
    """Keep the earliest of messages that read the same; none where their labels differ."""
    kept, rejects = without_copies(
        messages, [digest(normalised(text)) for text in messages["clean"]]
    )
    return Step(messages[kept].reset_index(drop=True), rejects)


def without_copies(
    rows: pd.DataFrame, digests: Sequence[bytes]
) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Which of n rows stay, bool [n], and the rejects; texts themselves are not asked for.

    Args:
        rows: with the columns id, group, label and arrived.
        digests: of their normalised texts, [n].
    """
    codes, _ = pd.factorize(np.array(digests, dtype=object))
    small = rows[["id", "group", "label", "arrived"]].reset_index(drop=True).assign(key=codes)
    ordered = small.sort_values(["arrived", "id"], na_position="last", kind="stable")
    copies = ordered.groupby("key")
    quarrel = copies["label"].transform("nunique") > 1
    first = copies["id"].transform("first")
    spare = ~quarrel & (ordered["id"] != first)
    keys = [digests[row].hex() for row in ordered.index[quarrel]]
    rejects = _rejected(ordered[quarrel], "labels differ between copies", keys)
    rejects += _rejected(ordered[spare], "duplicate", first[spare].tolist())
    kept = np.ones(len(rows), dtype=bool)
    kept[ordered.index[quarrel | spare]] = False
    return kept, reject_table(STEP, rejects)


def _rejected(rows: pd.DataFrame, reason: str, details: Sequence[str]) -> list[Reject]:
    columns = rows["id"].tolist(), rows["group"].tolist(), details
    return [
        Reject(row, group, reason, str(told)) for row, group, told in zip(*columns, strict=True)
    ]
