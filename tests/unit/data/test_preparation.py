"""The whole way from a source's table to split messages."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.preparation import prepare, reason_counts
from rampart.data.schema import MESSAGES, SPLIT, validate
from rampart.data.splits import split
from rampart.data.step import REJECT_COLUMNS
from rampart.errors import DataError
from tests.conftest import campaigns
from tests.unit.data.test_messages import MAIL, raw_table


def test_texts_become_split_messages_that_hold_their_schema() -> None:
    texts = [text for text, _ in campaigns(90)]
    step = prepare(raw_table(*texts, texts[0], "!!!"))
    assert len(step.rows) == 90
    assert reason_counts(step.rejects) == {"duplicate": 1, "no text": 1}
    table = validate(split(step.rows), SPLIT)
    assert set(table["split"]) == {"train", "validation", "test"}
    assert set(table["time_split"]) == {"none"}


def test_copies_go_by_arrival_and_what_is_alike_becomes_a_campaign() -> None:
    earlier = MAIL.replace(b"2002 18:26:25", b"2002 07:00:00")
    same_subject = MAIL.replace(b"Good morning", b"Something else altogether")
    step = prepare(raw_table(MAIL, "Another text", earlier, "Another subject", same_subject))
    # m0 and m2 read the same and have one label; m4 shares their subject alone.
    assert step.rows["id"].tolist() == ["m1", "m2", "m3", "m4"]
    assert step.rows["campaign"].tolist() == ["m1", "m2", "m3", "m2"]
    assert step.rejects.to_dict("records") == [
        {"id": "m0", "group": "here", "step": "deduplicate", "reason": "duplicate", "detail": "m2"}
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["Win now", "WIN now!", "---", MAIL, b"", "URL: x\nDate: y"]),
            st.text(max_size=30),
            st.binary(max_size=60),
        ),
        max_size=8,
    )
)
def test_every_row_given_is_kept_or_rejected_once(contents: list[bytes | str]) -> None:
    raw = raw_table(*contents)
    before = raw.copy()
    try:
        step = prepare(raw)
    except DataError:
        with pytest.raises(DataError, match=f"None of the {len(raw)} rows"):
            prepare(raw)
        return
    assert sorted([*step.rows["id"], *step.rejects["id"]]) == sorted(raw["id"])
    assert tuple(step.rejects.columns) == REJECT_COLUMNS
    validate(step.rows, MESSAGES)
    pd.testing.assert_frame_equal(raw, before)


def test_nothing_usable_is_an_error_that_counts_the_reasons() -> None:
    with pytest.raises(DataError, match="None of the 3 rows can be used: 2 no text, 1 feed item"):
        prepare(raw_table("!!!", "URL: http://a.example\nDate: today\n\nnews", "???"))


def test_a_table_that_breaks_its_schema_is_refused_before_it_is_read() -> None:
    with pytest.raises(DataError, match="'label'"):
        prepare(raw_table("a", "b").drop(columns="label"))
