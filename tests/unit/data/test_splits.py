"""Splits keep campaigns whole and time in order."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.splits import PARTS, by_campaign, by_time, has_both, split
from rampart.errors import DataError


def messages(sizes: list[int], *, timed: float = 1.0) -> pd.DataFrame:
    campaigns = np.repeat(np.arange(len(sizes)), sizes)
    count = len(campaigns)
    arrived = pd.Series(pd.date_range("2002-01-01", periods=count, freq="h", tz="UTC"))
    arrived[int(count * timed) :] = pd.NaT
    return pd.DataFrame(
        {
            "id": [f"m{number:04}" for number in range(count)],
            "label": (campaigns % 3 == 0).astype("int8"),
            "campaign": [f"c{number}" for number in campaigns],
            "arrived": arrived.sample(frac=1, random_state=0).to_numpy(),
        }
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), max_size=60), st.integers(0, 5))
def test_a_campaign_is_on_one_side(sizes: list[int], seed: int) -> None:
    table = messages(sizes)
    parts = by_campaign(table, seed=seed)
    assert set(parts) <= set(PARTS)
    assert (parts.groupby(table["campaign"]).nunique() == 1).all()
    timed = by_time(table)
    seen = timed[timed != "none"]
    assert (seen.groupby(table["campaign"]).nunique() == 1).all()


def test_each_label_has_its_shares() -> None:
    table = messages([1, 2, 3] * 100)
    parts = by_campaign(table)
    for label in (0, 1):
        shares = parts[table["label"] == label].value_counts(normalize=True)
        assert shares["train"] == pytest.approx(0.6, abs=0.03)
        assert shares["test"] == pytest.approx(0.2, abs=0.03)


def test_a_seed_gives_one_split_and_another_seed_another() -> None:
    table = messages([2] * 60)
    assert by_campaign(table, seed=1).equals(by_campaign(table, seed=1))
    assert not by_campaign(table, seed=1).equals(by_campaign(table, seed=2))


def test_the_past_is_trained_on_and_the_future_tested() -> None:
    table = messages([1] * 100)
    parts = by_time(table)
    times = [table["arrived"][parts == part] for part in PARTS]
    assert times[0].max() < times[1].min()
    assert times[1].max() < times[2].min()


def test_rows_without_a_time_are_left_out_and_all_are_where_most_have_none() -> None:
    most = messages([1] * 100, timed=0.8)
    assert set(by_time(most)[most["arrived"].isna()]) == {"none"}
    few = messages([1] * 100, timed=0.3)
    assert set(by_time(few)) == {"none"}
    half = messages([1] * 100, timed=0.5)
    assert set(by_time(half)) == {*PARTS, "none"}


HOURS = st.one_of(st.none(), st.integers(0, 6))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(HOURS, st.integers(0, 8)), max_size=30), st.randoms())
def test_no_part_of_the_time_split_is_older_than_the_one_before_nor_shares_a_campaign(
    rows: list[tuple[int | None, int]], shuffle: random.Random
) -> None:
    start = pd.Timestamp("2002-01-01", tz="UTC")
    times = [pd.NaT if hour is None else start + pd.Timedelta(hours=hour) for hour, _ in rows]
    table = pd.DataFrame({
        "id": [f"m{number:02}" for number in range(len(rows))],
        "arrived": pd.Series(times, dtype="datetime64[ns, UTC]"),
        "campaign": [f"c{campaign}" for _, campaign in rows],
        "label": np.int8(0),
    })  # fmt: skip
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    parts = by_time(table.iloc[order])
    assert parts.sort_index().equals(by_time(table))
    used = table.assign(part=parts).query("part != 'none'")
    assert used["arrived"].notna().all()
    assert (used.groupby("campaign")["part"].nunique() <= 1).all()
    last = None
    for part in PARTS:
        those = used["arrived"][used["part"] == part]
        if len(those):
            assert last is None or last <= those.min()
            last = those.max()


def test_later_rows_of_a_campaign_seen_before_are_left_out() -> None:
    table = messages([1] * 100)
    table["arrived"] = pd.date_range("2002-01-01", periods=100, freq="h", tz="UTC")
    table.loc[[0, 70, 90, 99], "campaign"] = "spread"
    parts = by_time(table)
    assert parts[[0, 70, 90, 99]].tolist() == ["train", "none", "none", "none"]
    assert parts.value_counts().to_dict() == {
        "train": 60, "validation": 19, "test": 18, "none": 3,
    }  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.randoms(), st.integers(0, 3))
def test_the_campaign_split_does_not_depend_on_the_order_of_rows(
    shuffle: random.Random, seed: int
) -> None:
    table = messages([1, 4, 2] * 10)
    order = list(range(len(table)))
    shuffle.shuffle(order)
    found = by_campaign(table.iloc[order], seed=seed).sort_index()
    assert found.equals(by_campaign(table, seed=seed))


def test_a_campaign_that_is_most_of_a_class_is_mostly_trained_on() -> None:
    table = messages([1, 400] + [1] * 200)
    large = table["campaign"] == "c1"
    drawn = [by_campaign(table, seed=seed)[large].iloc[0] for seed in range(20)]
    assert drawn.count("train") >= 15


def test_a_part_without_a_class_is_an_error_and_can_be_asked_for() -> None:
    table = messages([1] * 60).assign(label=np.int8(0))
    with pytest.raises(DataError, match="not both"):
        split(table)
    good = split(messages([1] * 120))
    assert has_both(good, "split")
    assert not has_both(good.assign(label=np.int8(1)), "split")


@pytest.mark.parametrize(
    "shares",
    [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (1.5, -0.3, -0.2), (0.5, float("nan"), 0.5), (0.5, 0.5)],
)
@pytest.mark.parametrize("make", [by_campaign, by_time, split])
def test_shares_have_to_be_shares(make: Any, shares: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="shares"):
        make(messages([1] * 9), shares=shares)


def test_other_shares_are_held_too() -> None:
    parts = by_campaign(messages([1] * 300), shares=(0.2, 0.3, 0.5)).value_counts(normalize=True)
    assert parts[list(PARTS)].tolist() == pytest.approx([0.2, 0.3, 0.5], abs=0.01)


def test_no_row_is_in_a_time_split_that_nobody_asked_for() -> None:
    parted = split(messages([1] * 120), timed=False)
    assert set(parted["time_split"]) == {"none"}
    assert not has_both(parted, "time_split")
