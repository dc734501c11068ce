"""Texts to score come one by one, and a row that cannot be used comes as a reason."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import pytest

from rampart.data.sources.stream import Record, stream_texts
from rampart.errors import DataError, SourceError


def test_texts_come_with_ids_and_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("key,body\nk1,hello\n,again\n")
    assert list(stream_texts(str(path), text_column="body", id_column="key")) == [
        Record("k1", "hello", None),
        Record("a/2", "again", None),
    ]


def test_a_row_that_cannot_be_used_is_a_record_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n{"text": 5, "id": "five"}\n{\n{"id": 4}\n{"text": "\\udfff"}\n')
    found = list(stream_texts(str(path)))
    assert [(record.id, record.text) for record in found] == [
        ("a/1", "x"), ("five", None), ("a/3", None), ("4", None), ("a/5", "\ufffd"),
    ]  # fmt: skip
    assert [record.problem and record.problem.split(":")[0] for record in found] == [
        None, "'text' is int, not a string", "line 3", "'text' is missing", None,
    ]  # fmt: skip


def test_mails_come_as_subject_and_body(tmp_path: Path) -> None:
    (tmp_path / "box.mbox").write_bytes(b"From a\nSubject: One\n\nfirst\n\nFrom b\n\nsecond\n")
    (tmp_path / "c.eml").write_bytes(b"Subject: Three\n\nthird\n")
    name = tmp_path.name
    assert list(stream_texts(str(tmp_path))) == [
        Record(f"{name}/box.mbox/1", "One\n\nfirst\n\n", None),
        Record(f"{name}/box.mbox/2", "second\n", None),
        Record(f"{name}/c.eml", "Three\n\nthird\n", None),
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_table_without_the_column_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("other\nx\n" if name == "a.csv" else '{"other": "x"}\n')
    with pytest.raises(DataError, match="no column 'text': it has 'other'"):
        next(stream_texts(str(tmp_path / name)))


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(SourceError, match="no such file"):
        next(stream_texts("/no/such.jsonl"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = '{"text": "' + "word " * 200 + '"}\n'
    with path.open("w") as file:
        file.writelines(itertools.repeat(line, 20_000))
    records = stream_texts(str(path))
    for _ in range(1000):
        next(records)
    tracemalloc.start()
    try:
        count = sum(1 for _ in records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 19_000
    assert peak < path.stat().st_size / 2
