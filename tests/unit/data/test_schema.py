"""Tables are checked where they pass from step to step, and one sentence says what is wrong."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from rampart.data.schema import ARRIVED, MESSAGES, RAW, SPLIT, validate
from rampart.errors import DataError


def raw(**columns: Any) -> pd.DataFrame:
    values = {"id": ["a", "b"], "group": ["g", "g"], "label": [0, 1], "raw": [b"x", None]}
    table = pd.DataFrame({**values, "text": [None, "y"], **columns})
    return table.astype({"label": "int8"}) if "label" not in columns else table


def messages(**columns: Any) -> pd.DataFrame:
    names = ("text", "clean", "subject", "attachments", "campaign")
    words = {name: ["x", ""] for name in names}
    times = pd.to_datetime(["2002-08-22 12:36:23+00:00", None])
    table = raw().drop(columns=["raw", "text"])
    return table.assign(**words, arrived=times, has_html=[True, False]).assign(**columns)


def test_a_right_table_passes_unchanged_and_keeps_columns_of_its_own() -> None:
    table = raw(more=[1, 2])
    pd.testing.assert_frame_equal(validate(table, RAW), table, check_column_type=False)


def test_times_are_brought_to_utc_nanoseconds() -> None:
    times = pd.to_datetime(["2002-08-22 12:36:23+02:00", None]).astype("datetime64[s, Europe/Rome]")
    checked = validate(messages(arrived=times), MESSAGES)
    assert checked["arrived"].dtype == ARRIVED
    assert checked["arrived"][0] == pd.Timestamp("2002-08-22 10:36:23", tz="UTC")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a", "a"]}, "'id'.* 2 rows, first with 'a'"),
        ({"id": ["a", 7]}, "is str.*'id'.* 1 row, first with 7"),
        ({"id": ["a", None]}, "'id'"),
        ({"label": [0, 1]}, "'label'"),
        ({"label": pd.array([0, 2], "int8")}, r"'label'.* 1 row, first with 2\."),
        ({"raw": ["x", None]}, "is bytes.*'raw'"),
        ({"text": ["x", "y"]}, "exactly one of raw and text.* the raw table for 1 row"),
        ({"text": [None, None]}, "exactly one of raw and text"),
        ({"text": [None, 5]}, "is str.*'text'"),
        ({"group": ["g", 0.5]}, "is str.*'group'"),
        ({"id": ["a", ("long",) * 99]}, r"first with .{77}\.\.\.\.$"),
    ],
)
def test_a_wrong_value_is_named_with_its_column_and_count(
    columns: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        validate(raw(**columns), RAW)


def test_missing_columns_are_named_all_at_once() -> None:
    with pytest.raises(DataError, match="The raw table lacks the columns 'id', 'label'"):
        validate(raw().drop(columns=["id", "label"]), RAW)


def test_a_split_names_parts_that_there_are() -> None:
    whole = messages(split=["train", "test"], time_split=["none", "validation"])
    assert validate(whole, SPLIT)["split"].tolist() == ["train", "test"]
    with pytest.raises(DataError, match="'split' of the split table for 1 row, first with 'dev'"):
        validate(messages(split=["train", "dev"], time_split=["none", "none"]), SPLIT)
    with pytest.raises(DataError, match="lacks the columns 'split', 'time_split'"):
        validate(messages(), SPLIT)


def test_an_empty_table_with_its_columns_is_right() -> None:
    assert len(validate(raw().iloc[:0], RAW)) == 0
    assert len(validate(messages().iloc[:0], MESSAGES)) == 0
