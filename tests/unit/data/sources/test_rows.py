"""Files of every format give their rows one by one; a broken row costs no other."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.sources import rows
from rampart.data.sources.opening import list_files
from rampart.data.sources.rows import Row, iter_rows
from rampart.errors import DataError, SourceError


def read(path: Path, *needed: str, wanted: tuple[str, ...] = ()) -> list[Row]:
    return list(iter_rows(list_files(str(path))[0], needed, wanted))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """The longest line made 100 bytes and read in chunks of 64."""
    monkeypatch.setattr(rows, "LONGEST", 100)
    monkeypatch.setattr(rows, "_CHUNK", 64)
    return 100


# --- JSONL --------------------------------------------------------------------------------------


def test_json_lines_are_numbered_and_empty_ones_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n \n\n{"a": null}')
    found = [(row.number, row.values) for row in read(path)]
    assert found == [(1, {"a": 1}), (4, {"a": None})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1]", "a JSON list, not an object"),
        (b"null", "a JSON NoneType, not an object"),
        (b'{"a": ', "Expecting value"),
        (b'{"a": "\xff"}', "can't decode byte 0xff"),
        (b'{"a": ' + b"[" * 100_000, "recursion"),
        (b'{"a": ' + b"1" * 5000 + b"}", "4300 digits"),
        (b"\0", "Expecting value"),
    ],
)
def test_a_line_that_is_no_json_object_says_why_and_the_next_is_read(
    tmp_path: Path, line: bytes, problem: str
) -> None:
    broken, whole = read(write(tmp_path / "a.jsonl", line + b'\n{"a": 1}\n'))
    assert broken.values is None
    assert broken.problem.startswith("line 1: ")
    assert problem in broken.problem
    assert (whole.number, whole.values, whole.problem) == (2, {"a": 1}, None)


def test_values_that_strict_json_lacks_are_passed_on(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "a.jsonl", b'{"a": NaN, "b": "\\ud800", "c": 1, "c": 2}'))
    assert row.values["a"] != row.values["a"]
    assert (row.values["b"], row.values["c"]) == ("\ud800", 2)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_utf_16_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"is in UTF-16\. Save it in UTF-8"):
        read(write(tmp_path / name, "text,label\n".encode("utf-16")))


def test_a_line_over_the_limit_is_one_problem_and_no_memory(tmp_path: Path, short: int) -> None:
    lines = [json.dumps({"a": "x" * length}) for length in (10, 95, 400, 89, 20)]
    found = read(write(tmp_path / "a.jsonl", "\n".join(lines).encode()))
    assert [row.number for row in found] == [1, 2, 3, 4, 5]
    assert [row.problem is None for row in found] == [True, False, False, True, True]
    assert "longer than" in found[1].problem


@given(st.lists(st.integers(0, 300)), st.booleans())
def test_lines_are_cut_as_the_whole_file_would_be(lengths: list[int], ended: bool) -> None:
    lines = [b"x" * length for length in lengths]
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "LONGEST", 100)
        patch.setattr(rows, "_CHUNK", 64)
        found = list(rows._lines(io.BytesIO(content)))
    expected = content.splitlines(keepends=True)
    assert len(found) == len(expected)
    for got, whole in zip(found, expected, strict=True):
        assert got == whole or (len(whole) > 100 and len(got) > 100 and whole.startswith(got[:100]))


# --- CSV ----------------------------------------------------------------------------------------


def test_csv_keeps_quoted_line_ends_quotes_and_commas(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"text", label \r\n"a\r\n\r\nb, ""q""",1\r\n\r\nb,0'
    found = read(write(tmp_path / "a.csv", content), "text", "label")
    assert [(row.number, row.values) for row in found] == [
        (1, {"text": 'a\r\n\r\nb, "q"', "label": "1"}),
        (2, {"text": "b", "label": "0"}),
    ]


def test_tabs_part_the_columns_of_tsv(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "a.tsv", b"text\tlabel\na, b\t1\n"))
    assert row.values == {"text": "a, b", "label": "1"}


def test_a_broken_csv_row_says_its_line_and_the_next_is_read(tmp_path: Path) -> None:
    content = b'text,label\n"a" x,1\nb,0\nc\nd,1,2\ne,0\n"never ends,1\nf,1\n'
    found = read(write(tmp_path / "a.csv", content))
    assert [row.values and row.values["text"] for row in found] == [
        None, "b", None, None, "e", None,
    ]  # fmt: skip
    assert [row.problem for row in found if row.problem] == [
        "line 2: ',' expected after '\"'",
        "line 4: 1 fields where the header has 2",
        "line 5: 3 fields where the header has 2",
        "line 8: unexpected end of data",
    ]


def test_csv_that_is_not_utf_8_is_read_as_windows_writes_it(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "a.csv", "text\n“café”\n".encode("cp1252")))
    assert row.values == {"text": "“café”"}


def test_a_csv_cell_may_be_as_long_as_a_mail(tmp_path: Path, short: int) -> None:
    (row,) = read(write(tmp_path / "a.csv", b"text\n" + b'"' + b"x\n" * 40 + b'"\n'))
    assert row.values == {"text": "x\n" * 40}


def test_the_limit_of_the_csv_module_is_no_limit_of_ours(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    try:
        csv.field_size_limit(1000)
        (row,) = read(write(tmp_path / "a.csv", b"text\n" + b"x" * 200_000))
        assert len(row.values["text"]) == 200_000
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,2\n", r"no column 'text': it has 'a', 'b'"),
        (b"text;label\n", "no column 'text': it has 'text;label'"),
        (b"text,label\ra,1\r", "header of .* cannot be read"),
        (b'"text\n', "header of .* cannot be read: unexpected end"),
    ],
)
def test_a_header_without_the_column_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(write(tmp_path / "a.csv", content), "text")


ROWS = st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")),
                         min_size=2, max_size=2), max_size=8)  # fmt: skip


@given(ROWS)
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *table])
    lines = iter(text.getvalue().encode().splitlines(keepends=True))
    reader = csv.reader(rows._CsvLines(lines), strict=True)
    assert list(reader) == [["a", "b"], *table]


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv", "tsv", "mbox"]))
def test_any_bytes_are_rows_problems_or_a_data_error(content: bytes, kind: str) -> None:
    fsspec.filesystem("memory").pipe(f"/any.{kind}", content)
    try:
        found = list(iter_rows(list_files(f"memory://any.{kind}")[0]))
    except DataError:
        return
    for row in found:
        assert (row.values is not None) + (row.raw is not None) + (row.problem is not None) == 1


# --- Parquet ------------------------------------------------------------------------------------


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_parquet_gives_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", text=["x", None, "z"], id=[7, 8, 9], other=[1, 2, 3])
    found = read(path, "text", wanted=("id", "label"))
    assert [row.values for row in found] == [
        {"text": "x", "id": 7}, {"text": None, "id": 8}, {"text": "z", "id": 9},
    ]  # fmt: skip
    assert [row.number for row in found] == [1, 2, 3]
    assert found[-1].position == path.stat().st_size


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([b"x"]), b"x"),
        (pa.array([{"k": 1}]), {"k": 1}),
        (pa.array([["x"]]), ["x"]),
        (pa.array([Decimal("1.0")]), Decimal("1.0")),
        (pa.array([date(2002, 8, 22)]), date(2002, 8, 22)),
        (pa.array([None], pa.null()), None),
    ],
)
def test_parquet_values_come_as_python_s_own(tmp_path: Path, column: pa.Array, value: Any) -> None:
    (row,) = read(parquet(tmp_path / "a.pq", text=column), "text")
    assert row.values == {"text": value}


def test_a_parquet_string_that_is_not_utf_8_costs_its_row_alone(tmp_path: Path) -> None:
    bad = pa.StringArray.from_buffers(
        3, pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffc")
    )
    found = read(parquet(tmp_path / "a.parquet", text=bad), "text")
    assert [row.values for row in found] == [{"text": "a"}, None, {"text": "c"}]
    assert found[1].problem == "row 2: a string is not in UTF-8"


def test_parquet_is_read_through_compression(tmp_path: Path) -> None:
    content = parquet(tmp_path / "a.parquet", text=["x"]).read_bytes()
    (row,) = read(write(tmp_path / "b.parquet.gz", gzip.compress(content)), "text")
    assert row.values == {"text": "x"}


@pytest.mark.parametrize("content", [b"", b"junk" * 99, b"PAR1"])
def test_what_is_not_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="is not Parquet"):
        read(write(tmp_path / "a.parquet", content), "text")


def test_a_parquet_file_without_the_column_or_with_damage_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", other=["x" * 200])
    with pytest.raises(DataError, match="no column 'text': it has 'other'"):
        read(path, "text")
    content = path.read_bytes()
    damaged = write(tmp_path / "b.parquet", content[:4] + b"\xff" * 40 + content[44:])
    with pytest.raises(SourceError, match=r"b\.parquet"):
        read(damaged, "other")


# --- mails --------------------------------------------------------------------------------------


def test_an_mbox_is_cut_at_its_from_lines(tmp_path: Path) -> None:
    content = (
        b"From a@b Thu Aug 22 12:36:23 2002\nSubject: 1\n\nFrom me\n\nFrom you\n"
        b">From him\n>>From her\n\nFrom c@d Thu Aug 22 12:36:24 2002\r\nSubject: 2\r\n\r\nWords\r\n"
    )
    found = read(write(tmp_path / "spam.mbox", content))
    assert [row.raw for row in found] == [
        b"Subject: 1\n\nFrom me\n\nFrom you\nFrom him\n>From her\n\n",
        b"Subject: 2\r\n\r\nWords\r\n",
    ]
    assert [row.number for row in found] == [1, 2]


def test_an_mbox_whose_from_lines_have_no_time_is_cut_at_each(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.mbox", b"From a\n\none\n\nFrom b\n\ntwo\nFrom c\n"))
    assert [row.raw for row in found] == [b"\none\n\n", b"\ntwo\nFrom c\n"]


@pytest.mark.parametrize("content", [b"", b"Subject: x\n\nFrom a\n", b"\nFrom a\n"])
def test_what_does_not_start_like_an_mbox_is_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="is not an mbox"):
        read(write(tmp_path / "a.mbox", content))


def test_a_mail_over_the_limit_is_a_problem(tmp_path: Path, short: int) -> None:
    content = b"From a\n\n" + b"x\n" * 99 + b"\nFrom b\n\nshort\n"
    long, whole = read(write(tmp_path / "a.mbox", content))
    assert (long.raw, long.problem.startswith("mail 1: longer")) == (None, True)
    assert whole.raw == b"\nshort\n"
    (alone,) = read(write(tmp_path / "a.eml", b"x" * 101))
    assert (alone.raw, alone.problem.startswith("longer")) == (None, True)


def test_an_eml_file_is_one_mail_as_it_is(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path / "a.eml", b"\0From any\xff\r\n"))
    assert row.raw == b"\0From any\xff\r\n"


def test_the_position_tells_how_much_of_the_stored_file_is_read(tmp_path: Path) -> None:
    content = gzip.compress(b'{"a": 1}\n' * 10)
    found = read(write(tmp_path / "a.jsonl.gz", content))
    assert found[-1].position == len(content)
