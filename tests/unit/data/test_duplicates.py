"""Copies go, and the earliest stays."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.duplicates import deduplicate
from rampart.data.minhash import normalised
from rampart.data.step import REJECT_COLUMNS


def messages(*rows: tuple[str, str, int, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["id", "clean", "label", "arrived"])
    table["arrived"] = pd.to_datetime(table["arrived"], utc=True)
    return table.assign(group="here")


def test_the_earliest_of_copies_stays_whatever_case_digits_and_signs() -> None:
    step = deduplicate(
        messages(
            ("late", "Win $100 now", 1, "2002-02-01"),
            ("early", "WIN 999, now!", 1, "2002-01-01"),
            ("undated", "win (555) now", 1, None),
            ("other", "win nothing", 0, None),
        )
    )
    assert step.rows["id"].tolist() == ["early", "other"]
    assert dict(zip(step.rejects["id"], step.rejects["detail"], strict=True)) == {
        "late": "early", "undated": "early",
    }  # fmt: skip
    assert set(step.rejects["reason"]) == {"duplicate"}


def test_copies_with_different_labels_all_go() -> None:
    step = deduplicate(messages(("a", "same", 0, None), ("b", "Same.", 1, None)))
    assert step.rows.empty
    assert set(step.rejects["reason"]) == {"labels differ between copies"}


@pytest.mark.parametrize("text", ["Win $100!", "  win   999 ", "WIN... 123"])
def test_what_reads_the_same_is_normalised_to_the_same(text: str) -> None:
    assert normalised(text) == "win 000"


def test_every_copy_of_a_quarrel_goes_even_where_most_agree() -> None:
    step = deduplicate(messages(*(("abc"[n], "same", n // 2, "2002-01-01") for n in range(3))))
    assert step.rows.empty
    assert sorted(step.rejects["id"]) == ["a", "b", "c"]


DAYS = st.sampled_from(["2002-01-01", "2002-01-02", None])
ROWS = st.lists(st.tuples(st.sampled_from(["a b", "A, b!", "c 1", "c 2", "d"]), st.integers(0, 1),
                          DAYS), max_size=12)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_each_row_is_kept_or_rejected_with_its_reason_whatever_the_order(
    rows: list[tuple[str, int, str | None]], shuffle: object
) -> None:
    given_rows = [(f"m{n:02}", *row) for n, row in enumerate(rows)]
    table = messages(*given_rows)
    step = deduplicate(table)
    assert sorted([*step.rows["id"], *step.rejects["id"]]) == table["id"].tolist()
    assert step.rows["id"].is_monotonic_increasing
    assert tuple(step.rejects.columns) == REJECT_COLUMNS
    assert set(step.rejects["step"]) <= {"deduplicate"}
    assert set(step.rejects["group"]) <= {"here"}
    by_key = table.assign(key=table["clean"].map(normalised)).groupby("key")
    expected = {
        same.sort_values(["arrived", "id"], na_position="last")["id"].iloc[0]
        for _, same in by_key
        if same["label"].nunique() == 1
    }
    assert set(step.rows["id"]) == expected
    shuffle.shuffle(given_rows)  # type: ignore[attr-defined]
    assert set(deduplicate(messages(*given_rows)).rows["id"]) == expected


@given(st.text())
def test_normalised_text_is_words_parted_by_one_space(text: str) -> None:
    words = normalised(text).split(" ")
    assert all(words) or words == [""]
    assert normalised(f"  {text}!") == normalised(text)
