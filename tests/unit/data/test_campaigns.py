"""Which messages belong to one campaign."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.campaigns import _similar, assign_campaigns, signatures

DRAW = random.Random(1)
WORDS = ["".join(DRAW.choices("abcdefghijklmnop", k=6)) for _ in range(3_000)]


def text(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def messages(*rows: tuple[str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["subject", "clean"])
    return table.assign(id=[f"m{number}" for number in range(len(table))], campaign="")


def test_small_changes_stay_in_the_campaign_and_other_texts_do_not() -> None:
    first = text(1)
    changed = first.replace(first.split()[30], "different")
    found = assign_campaigns(messages(("", first), ("", text(2)), ("", changed + " bye")))
    assert found["campaign"].tolist() == ["m0", "m1", "m0"]


def test_the_same_subject_unites_whatever_its_reply_marks_and_digits() -> None:
    found = assign_campaigns(
        messages(("Cheap pills 10%", text(1)), ("RE: cheap pills, 20 %", text(2)), ("hi", text(3)),
                 ("hi", text(4)))
    )  # fmt: skip
    assert found["campaign"].tolist() == ["m0", "m0", "m2", "m3"]


def test_links_are_followed_from_one_to_the_next() -> None:
    found = assign_campaigns(
        messages(("one subject", text(1)), ("one subject", text(2)), ("else", text(2) + " x"))
    )
    assert found["campaign"].nunique() == 1


def test_no_messages_have_no_campaigns() -> None:
    assert assign_campaigns(messages()).empty


def drifting(count: int) -> list[str]:
    """Texts each of which is like the next one, and unlike those further on."""
    draw = random.Random(3)
    words = draw.choices(WORDS, k=60)
    found = []
    for _ in range(count):
        for _ in range(6):
            words[draw.randrange(len(words))] = draw.choice(WORDS)
        found.append(" ".join(words))
    return found


CHAIN = [("", drifted) for drifted in drifting(60)]


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(15)))
def test_the_order_of_rows_does_not_change_who_is_together(order: list[int]) -> None:
    # Far from the limit on either side: texts near it may go one way or the other.
    rows = [("", text(number // 3) + " tail" * (number % 3)) for number in range(12)]
    rows += [("the same subject", text(20 + number)) for number in range(3)]
    found = assign_campaigns(messages(*(rows[number] for number in order)))
    members = pd.Series(order).groupby(found["campaign"].to_numpy())
    together = {frozenset(numbers) for _, numbers in members}
    assert together == {frozenset(range(first, first + 3)) for first in range(0, 15, 3)}


def test_a_campaign_is_named_after_its_first_message() -> None:
    found = assign_campaigns(messages(*CHAIN, ("", "short"), ("", "")))
    firsts = found.groupby("campaign")["id"].first()
    assert (firsts == firsts.index).all()


def test_nothing_else_in_the_table_changes() -> None:
    given_table = messages(("a", text(1)), ("b", text(1))).set_index(pd.Index([7, 3]))
    before = given_table.copy()
    found = assign_campaigns(given_table)
    pd.testing.assert_frame_equal(given_table, before)
    pd.testing.assert_frame_equal(found.drop(columns="campaign"), before.drop(columns="campaign"))
    assert found["campaign"].tolist() == ["m0", "m0"]


def test_a_large_campaign_costs_no_more_than_a_comparison_for_each_row_and_band() -> None:
    start = text(5)
    table = signatures([f"{start} {number}" for number in range(1_500)])
    rows = np.arange(len(table))
    first, second = np.concatenate(list(_similar(table, rows)), axis=1)
    assert len(first) <= len(table) * table.shape[1] // 3
    # Signatures that agree in full are in every band's bucket, and still no pair comes twice in it.
    same = np.repeat(table[:1], 1_500, axis=0)
    first, second = np.concatenate(list(_similar(same, rows)), axis=1)
    assert len(first) == 1_499 * table.shape[1] // 3
    assert len(set(second)) == 1_499


def test_a_large_campaign_is_one() -> None:
    start = text(5)
    rows = (("", f"{start} {number}") for number in range(1_500))
    assert assign_campaigns(messages(*rows))["campaign"].nunique() == 1


def test_progress_ends_with_the_whole() -> None:
    told: list[tuple[int, int]] = []
    assign_campaigns(messages(*CHAIN[:3]), lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)


def test_other_processes_find_the_same_campaigns_whatever_their_hash_seed() -> None:
    code = (
        "from tests.unit.data.test_campaigns import CHAIN, assign_campaigns, messages;"
        "print(*assign_campaigns(messages(*CHAIN))['campaign'])"
    )
    here = assign_campaigns(messages(*CHAIN))["campaign"].tolist()
    for seed in ("1", "2"):
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[3],
        ).stdout  # fmt: skip
        assert said.split() == here
