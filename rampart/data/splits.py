"""Splits that measure what a user will meet: unseen campaigns, and a later time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rampart.errors import DataError

PARTS = ("train", "validation", "test")
SHARES = (0.6, 0.2, 0.2)
LEFT_OUT = "none"


def split(
    messages: pd.DataFrame,
    *,
    seed: int = 0,
    shares: tuple[float, float, float] = SHARES,
    timed: bool = True,
) -> pd.DataFrame:
    """The same messages with the columns `split`, by campaign, and `time_split`, by arrival.

    Without `timed` the time split leaves all rows out, as where no arrival times are known.

    Raises:
        DataError: the shares are not shares, or a part of the campaign split lacks a class.
    """
    result = messages.assign(
        split=by_campaign(messages, seed=seed, shares=shares),
        time_split=by_time(messages, shares=shares) if timed else LEFT_OUT,
    )
    for part in PARTS:
        found = set(result["label"][result["split"] == part])
        if found != {0, 1}:
            raise DataError(
                f"The {part} part of the campaign split holds labels {sorted(found)}, not both.",
                "Give more messages of both classes, in several campaigns each.",
            )
    return result


def by_campaign(
    messages: pd.DataFrame, *, seed: int = 0, shares: tuple[float, float, float] = SHARES
) -> pd.Series:
    """Part of each row: whole campaigns, drawn at random, so that each label has its shares.

    Raises:
        DataError: the shares are not three positive numbers that sum to 1.
    """
    _check(shares)
    rows = messages.groupby("campaign", sort=True)["label"].agg(["size", "mean"])
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = rows.iloc[order]
    part = pd.Series("", index=shuffled.index, dtype=object)
    for threat in (False, True):
        chosen = shuffled[(shuffled["mean"] >= 0.5) == threat]
        # The middle of a campaign decides, so that a large one does not shift all that follow.
        middle = (chosen["size"].cumsum() - chosen["size"] / 2) / max(1, chosen["size"].sum())
        part[chosen.index] = _parts(middle.to_numpy(), shares)
    return messages["campaign"].map(part).rename("split")


def by_time(messages: pd.DataFrame, *, shares: tuple[float, float, float] = SHARES) -> pd.Series:
    """Part of each row by its arrival, oldest to train on; "none" for those not to be used.

    Rows without a time are left out, and so are later rows of a campaign that an earlier part
    has seen. Where fewer than half of the rows have a time, all are left out: there is no such
    split.

    Raises:
        DataError: the shares are not three positive numbers that sum to 1.
    """
    _check(shares)
    parts = pd.Series(LEFT_OUT, index=messages.index, name="time_split", dtype=object)
    timed = messages[messages["arrived"].notna()].sort_values(["arrived", "id"], kind="stable")
    if len(timed) * 2 < len(messages):
        return parts
    middle = (np.arange(len(timed)) + 0.5) / len(timed)
    rank = pd.Series(np.searchsorted(np.cumsum(shares)[:2], middle, side="right"), timed.index)
    seen_in = rank.groupby(timed["campaign"]).transform("min")
    kept = rank[rank == seen_in]
    parts[kept.index] = np.array(PARTS, dtype=object)[kept.to_numpy()]
    return parts


def has_both(messages: pd.DataFrame, column: str) -> bool:
    """Whether every part of a split column holds both labels, so that it can be used."""
    return all(set(messages["label"][messages[column] == part]) == {0, 1} for part in PARTS)


def _parts(middle: np.ndarray, shares: tuple[float, float, float]) -> np.ndarray:
    index = np.searchsorted(np.cumsum(shares)[:2], middle, side="right")
    return np.array(PARTS, dtype=object)[index]


def _check(shares: tuple[float, float, float]) -> None:
    # Said so that "not a number" is refused too, which every comparison denies.
    if not (len(shares) == len(PARTS) and min(shares) > 0 and abs(sum(shares) - 1) <= 1e-9):
        raise DataError(
            f"The shares {shares} do not make a split.", "Give three positive ones that sum to 1."
        )
