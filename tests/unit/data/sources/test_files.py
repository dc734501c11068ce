"""A user's own data becomes a raw table, and what of it cannot be used a table of reasons."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from rampart.data.schema import RAW, validate
from rampart.data.sources import files, fingerprint, read
from rampart.errors import DataError, SourceError


def jsonl(path: Path, *rows: object) -> str:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def test_rows_of_a_table_are_texts_with_labels(tmp_path: Path) -> None:
    uri = jsonl(
        tmp_path / "own.jsonl",
        {"text": "a", "label": 1, "id": 7},
        {"text": "", "label": "ham"},
        {"text": "half \ud800", "label": False, "id": " x\ud800 "},
    )
    step = read(uri)
    assert step.rows.to_dict("records") == [
        {"id": "7", "group": "own", "label": 1, "raw": None, "text": "a"},
        {"id": "own/2", "group": "own", "label": 0, "raw": None, "text": ""},
        {"id": "x\ufffd", "group": "own", "label": 0, "raw": None, "text": "half \ufffd"},
    ]
    assert len(step.rejects) == 0


def test_the_columns_are_the_users_choice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("body,kind,text,label\nx,spam,no,9\n")
    step = read(str(tmp_path / "a.csv"), text_column="body", label_column="kind")
    assert step.rows[["text", "label"]].values.tolist() == [["x", 1]]


def test_each_row_that_cannot_be_used_is_counted_with_its_reason(tmp_path: Path) -> None:
    uri = jsonl(
        tmp_path / "a.jsonl",
        {"text": "good", "label": 1, "id": "same"},
        {"text": "again", "label": 1, "id": "same"},
        {"text": None, "label": 1},
        {"label": 1},
        {"text": 5, "label": 1},
        {"text": "x", "label": "maybe \ud800"},
        {"text": "x"},
        "{",
    )
    step = read(uri)
    assert step.rows["id"].tolist() == ["same"]
    found = step.rejects[["id", "step", "reason", "detail"]].values.tolist()
    assert [row[0] for row in found[1:]] == [f"a/{number}" for number in range(3, 9)]
    assert [row[1] for row in found] == ["read"] * 7
    assert [row[2:] for row in found[:-1]] == [
        ["duplicate id", "row 2"],
        ["text", "missing"],
        ["text", "missing"],
        ["text", "int, not a string"],
        ["label", "maybe \ufffd"],
        ["label", "missing"],
    ]
    assert found[-1][2] == "malformed"


def test_mails_in_folders_are_labelled_by_the_nearest_one(tmp_path: Path) -> None:
    for name in ("spam/1.eml", "easy_ham/2.eml", "ham/spam-2/3.eml", "hamburg/4.eml"):
        path = tmp_path / "mails" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"Subject: \xff\n\nBody")
    (tmp_path / "mails" / "ham.mbox").write_bytes(b"From a\n\none\n\nFrom b\n\ntwo\n")
    step = read(str(tmp_path / "mails"))
    assert step.rows[["id", "group", "label"]].values.tolist() == [
        ["mails/easy_ham/2.eml", "easy_ham", 0],
        ["mails/ham.mbox/1", "ham", 0],
        ["mails/ham.mbox/2", "ham", 0],
        ["mails/ham/spam-2/3.eml", "spam-2", 1],
        ["mails/spam/1.eml", "spam", 1],
    ]
    assert step.rows["raw"][0] == b"Subject: \xff\n\nBody"
    assert step.rows["text"].isna().all()
    assert step.rejects[["id", "reason", "detail"]].values.tolist() == [
        ["mails/hamburg/4.eml", "label", "no folder names one"]
    ]


def test_any_file_system_will_do() -> None:
    fsspec.filesystem("memory").pipe("/data/a.jsonl.gz", gzip.compress(b'{"text":"x","label":0}'))
    assert read("memory://data/a.jsonl.gz").rows["text"].tolist() == ["x"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('{"text": "x"}', "has no column 'label': it has 'text'"),
        ('{"label": 1}', "has no column 'text': it has 'label'"),
        ('{"text": "x", "label": "yes"}', "1 of 1 for their 'label'.*'yes'.* Write labels as"),
        ('{"text": 1, "label": 1}', "1 of 1 for their 'text'.*'int, not a string'"),
        ("{", "1 of 1 for their 'malformed'"),
    ],
)  # fmt: skip
def test_a_source_without_a_usable_row_is_refused(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(jsonl(tmp_path / "a.jsonl", content))


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(SourceError, match=r"'/no/such\.csv' cannot be read: no such file"):
        read("/no/such.csv")


def test_an_empty_column_of_bytes_or_texts_still_holds_the_schema(tmp_path: Path) -> None:
    uri = jsonl(tmp_path / "a.jsonl", {"text": "x", "label": 1})
    pd.testing.assert_frame_equal(validate(files.read(uri).rows, RAW), read(uri).rows)


def test_progress_is_told_in_bytes_up_to_the_whole(tmp_path: Path) -> None:
    rows = [{"text": "word " * 9, "label": 1}] * 5000
    uri = jsonl(tmp_path / "a.jsonl", *rows)
    calls: list[tuple[int, int]] = []
    read(uri, on_progress=lambda done, whole: calls.append((done, whole)))
    size = Path(uri).stat().st_size
    assert calls[-1] == (size, size)
    assert len(calls) > 2
    assert calls == sorted(calls)


def test_the_fingerprint_is_of_the_content_and_the_names(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "1.eml").write_bytes(b"x")
    first = fingerprint(str(folder))
    assert first == fingerprint(str(folder))
    (folder / "1.eml").write_bytes(b"y")
    second = fingerprint(str(folder))
    (folder / "1.eml").rename(folder / "2.eml")
    third = fingerprint(str(folder))
    (folder / "notes.txt").write_bytes(b"not a mail")
    assert len({first, second, third}) == 3
    assert third == fingerprint(str(folder))
    with pytest.raises(SourceError):
        fingerprint(str(folder / "none.eml"))
