"""Slices are the parts of the table that their names say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rampart.evaluation.slices import slices


def _table(**columns) -> pd.DataFrame:
    rows = max(len(values) for values in columns.values())
    default = {"group": ["a"] * rows, "characters": [100] * rows, "has_html": [False] * rows}
    return pd.DataFrame(default | columns)


def test_length_and_markup_part_the_table(table) -> None:
    masks = slices(table)
    for parts in (("short", "medium", "long"), ("HTML", "plain text")):
        assert np.array_equal(sum(masks[name].astype(int) for name in parts), np.ones(len(table)))
    groups = [mask for name, mask in masks.items() if name.startswith("group: ")]
    assert len(groups) == 5
    assert np.array_equal(np.sum(groups, axis=0), np.ones(len(table)))
    assert next(iter(masks)) == "all"
    assert masks["all"].all()


def test_cut_points_belong_to_the_longer_part() -> None:
    masks = slices(_table(characters=[499] * 10 + [500] * 11 + [1999] * 12 + [2000] * 13))
    assert {name: mask.sum() for name, mask in masks.items() if name != "all"} == {
        "short": 10,
        "medium": 23,
        "long": 13,
        "plain text": 46,
    }


def test_hard_ham_is_found_by_its_groups_names() -> None:
    names = ["hard-ham-1"] * 10 + ["Hard_Ham"] * 3 + ["not-hard-ham"] * 12
    masks = slices(_table(group=names))
    assert masks["hard ham"].tolist() == [True] * 13 + [False] * 12


def test_slices_under_ten_rows_are_left_out_but_for_the_whole() -> None:
    assert list(slices(_table(has_html=[True] * 9))) == ["all"]
    assert list(slices(_table(has_html=[True] * 9 + [False] * 10))) == [
        "all",
        "short",
        "plain text",
    ]


def test_one_group_or_very_many_are_no_slices() -> None:
    def groups(count: int) -> int:
        names = [f"g{row % count}" for row in range(count * 10)]
        return sum(name.startswith("group: ") for name in slices(_table(group=names)))

    assert [groups(count) for count in (1, 2, 20, 21)] == [0, 2, 20, 0]


def test_a_group_named_as_a_slice_hides_no_slice() -> None:
    masks = slices(_table(group=["all"] * 10 + ["short"] * 10))
    assert masks["all"].sum() == 20
    assert masks["short"].sum() == 20
    assert masks["group: short"].sum() == 10
