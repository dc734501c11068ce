"""Tables on disk come back as they were, and what is no table is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.preparation import prepare
from rampart.data.schema import RAW, SPLIT, validate
from rampart.data.splits import split
from rampart.data.step import reject_table
from rampart.data.tables import read_table, write_table
from rampart.errors import DataError
from tests.conftest import campaigns
from tests.unit.data.test_messages import MAIL, raw_table


def test_a_split_table_comes_back_with_its_types(tmp_path: Path) -> None:
    mails = [MAIL.replace(b"Good morning", text.encode()) for text, _ in campaigns(60)]
    texts = [text for text, _ in campaigns(30, seed=1)]
    table = validate(split(prepare(raw_table(*mails, *texts)).rows.assign(campaign=range(90))
                           .astype({"campaign": str})), SPLIT)  # fmt: skip
    assert table["arrived"].notna().sum() == 60
    write_table(table, tmp_path / "deep" / "table.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "deep" / "table.parquet"), table)


def test_raw_bytes_survive_and_so_does_their_absence(tmp_path: Path) -> None:
    table = raw_table(MAIL, "text", b"\x00\xff\r\n")
    write_table(table, tmp_path / "raw")
    found = read_table(tmp_path / "raw")
    assert found["raw"].tolist() == [MAIL, None, b"\x00\xff\r\n"]
    pd.testing.assert_frame_equal(validate(found, RAW), table)


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_table(reject_table("clean"), tmp_path / "rejects")
    assert read_table(tmp_path / "rejects").columns.tolist() == reject_table("").columns.tolist()


def test_what_is_there_already_is_replaced(tmp_path: Path) -> None:
    for values in ([1, 2, 3], [4]):
        write_table(pd.DataFrame({"value": values}), tmp_path / "table")
    assert read_table(tmp_path / "table")["value"].tolist() == [4]


@pytest.mark.parametrize("name", ["odd", "absent", "folder"])
def test_a_file_that_is_no_table_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "odd").write_text("no parquet")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=rf"{name}.*Run the step"):
        read_table(tmp_path / name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table's file."""
    path = tmp_path_factory.mktemp("tables") / "whole"
    write_table(raw_table(MAIL, "text"), path)
    return path


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_an_error(share: float, whole: Path) -> None:
    content = whole.read_bytes()
    part = whole.with_name("part")
    part.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cannot be read"):
        read_table(part)
