"""Duplicates as a reader sees them: the same words, whatever their case, digits and signs."""

from __future__ import annotations

import hashlib
import re

import pandas as pd

from rampart.data.step import Reject, Step, reject_table

STEP = "deduplicate"
_DIGIT = re.compile(r"\d")
_NOT_WORD = re.compile(r"\W+")


def normalised(text: str) -> str:
    """Lower case, digits to 0, nothing but word characters and one space between words."""
    return _NOT_WORD.sub(" ", _DIGIT.sub("0", text.lower())).strip()


def deduplicate(messages: pd.DataFrame) -> Step:
    """Keep the earliest of messages that read the same; none where their labels differ."""
    key = [hashlib.sha256(normalised(text).encode()).hexdigest() for text in messages["clean"]]
    ordered = messages.assign(key=key).sort_values(
        ["arrived", "id"], na_position="last", kind="stable"
    )
    labels = ordered.groupby("key")["label"].transform("nunique")
    first = ordered.groupby("key")["id"].transform("first")
    quarrel = labels > 1
    spare = ~quarrel & (ordered["id"] != first)
    rejects = _rejected(ordered[quarrel], "labels differ between copies", ordered["key"][quarrel])
    rejects += _rejected(ordered[spare], "duplicate", first[spare])
    kept = messages[messages["id"].isin(ordered["id"][~quarrel & ~spare])]
    return Step(kept.reset_index(drop=True), reject_table(STEP, rejects))


def _rejected(rows: pd.DataFrame, reason: str, details: pd.Series) -> list[Reject]:
    columns = rows["id"].tolist(), rows["group"].tolist(), details.tolist()
    return [
        Reject(row, group, reason, str(told)) for row, group, told in zip(*columns, strict=True)
    ]
