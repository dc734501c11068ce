"""Steps say what they kept, what they dropped, and how far they are."""

from __future__ import annotations

import pytest

from rampart.data.step import REJECT_COLUMNS, Reject, Ticker, concat_rejects, reject_table


def test_rejects_become_a_table_of_strings_under_their_step() -> None:
    table = reject_table("read", [Reject("a/1", "a", "text", "missing")])
    assert table.to_dict("records") == [
        {"id": "a/1", "group": "a", "step": "read", "reason": "text", "detail": "missing"}
    ]


def test_rejects_of_several_steps_keep_their_order_and_empty_ones_leave_no_trace() -> None:
    first = reject_table("one", [Reject("b", "g", "r", "d")])
    second = reject_table("two", [Reject("a", "g", "r", "d")])
    table = concat_rejects(reject_table("none"), first, reject_table("none"), second)
    assert table["id"].tolist() == ["b", "a"]
    assert table["step"].tolist() == ["one", "two"]
    assert table.index.tolist() == [0, 1]


def test_no_rejects_are_a_table_with_its_columns() -> None:
    for table in (reject_table("x"), concat_rejects(), concat_rejects(reject_table("x"))):
        assert tuple(table.columns) == REJECT_COLUMNS
        assert len(table) == 0


@pytest.mark.parametrize("total", [1, 7, 99, 100, 12_345])
def test_progress_is_passed_on_about_a_hundred_times_and_at_the_end(total: int) -> None:
    calls: list[tuple[int, int]] = []
    tick = Ticker(total, lambda done, whole: calls.append((done, whole)))
    for done in range(1, total + 1):
        tick(done)
    assert calls[-1] == (total, total)
    assert len(calls) <= 202
    assert calls == sorted(calls)


def test_progress_that_nobody_asked_for_is_dropped() -> None:
    Ticker(10, None)(10)
