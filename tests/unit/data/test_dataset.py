"""Streaming preparation gives the rows of the preparation in memory, whatever its processes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data import sources, splits
from rampart.data.campaigns import assign_campaigns, first_of_campaign, signatures
from rampart.data.dataset import REJECTS, prepare_dataset, split_shards
from rampart.data.ingestion import ingest
from rampart.data.minhash import normalised
from rampart.data.preparation import prepare
from rampart.data.schema import SPLIT, validate
from rampart.data.shards import row_count
from rampart.data.sketches import load
from rampart.data.step import concat_rejects
from rampart.data.tables import read_table
from rampart.data.uniting import clean_shards
from rampart.errors import DataError, SourceError
from tests.conftest import campaigns

MAIL = (
    b"Received: from a.example by b.example; Thu, %d Aug 2002 12:00:00 +0000\n"
    b"Subject: %s\nContent-Type: text/html\n\n<p>%s</p>\n"
)


def mails(folder: Path, count: int = 120, seed: int = 0) -> Path:
    """Mails with copies, quarrels, campaigns, times, and some without a word."""
    draw = random.Random(seed)
    for number, (text, label) in enumerate(campaigns(count, seed)):
        subject, _, body = text.partition("\n\n")
        days = [1 + number % 28]
        if number % 7 == 0:
            days += [1 + draw.randrange(28) for _ in range(2)]  # copies, earlier or later
        for copy, day in enumerate(days):
            words = body.split()
            if number % 14 == 7 and copy:
                words[3] = "changed"
            quarrels = copy == 2 and number % 21 == 0
            kind = folder / ("ham" if bool(label) is quarrels else "spam")
            kind.mkdir(parents=True, exist_ok=True)
            raw = MAIL % (day, subject.encode(), " ".join(words).encode())
            (kind / f"{number:04}-{copy}.eml").write_bytes(raw)
    (folder / "ham" / "empty.eml").write_bytes(MAIL % (1, b"", b"<br>"))
    (folder / "odd").mkdir()
    (folder / "odd" / "nameless.eml").write_bytes(MAIL % (1, b"a", b"b"))
    return folder


def in_memory(uri: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    raw = sources.read(str(uri))
    step = prepare(raw.rows)
    return splits.split(step.rows), concat_rejects(raw.rejects, step.rejects)


def test_the_dataset_is_what_memory_would_hold(tmp_path: Path) -> None:
    uri = mails(tmp_path / "mails")
    told: list[str] = []

    def stage(name: str) -> object:
        return lambda done, total: told.append(f"{name}: {done} of {total}")

    made = prepare_dataset(str(uri), tmp_path / "out", stage=stage)  # type: ignore[arg-type]
    table, rejects = in_memory(uri)
    found = read_table(tmp_path / "out")
    pd.testing.assert_frame_equal(found, table)
    pd.testing.assert_frame_equal(validate(found, SPLIT), table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "out" / REJECTS), rejects)
    assert made.messages == len(table)
    assert made.campaigns == table["campaign"].nunique() < len(table)
    assert made.threats == table["label"].sum()
    assert made.parts["split train"] == (table["split"] == "train").sum()
    assert made.rejects == rejects["reason"].value_counts().to_dict()
    assert set(made.rejects) == {"duplicate", "labels differ between copies", "no text", "label"}
    assert len({line.partition(":")[0] for line in told}) == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dataset.json", "part-00000.parquet", REJECTS,
    ]  # fmt: skip


@pytest.mark.slow
def test_two_processes_make_the_files_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rampart.data import uniting
    from rampart.data.manifest import Manifest

    monkeypatch.setattr(uniting, "_ALONE", 0)
    monkeypatch.setattr("rampart.data.sketches._BATCH", 20)
    uri = mails(tmp_path / "mails")
    for processes in (1, 2):
        prepare_dataset(str(uri), tmp_path / str(processes), processes=processes)
    assert Manifest.load(tmp_path / "1") == Manifest.load(tmp_path / "2")


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["Cheap pills", "re: cheap pills!", "hi", "", "Other thing 5"]),
        st.lists(st.sampled_from(["alpha", "beta", "gamma", "1", "2", "Win!"]), max_size=8),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(ROWS)
def test_whatever_the_rows_the_streaming_steps_keep_those_that_memory_keeps(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, list[str], int]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    lines = [
        json.dumps({"text": f"{subject}\n\n{' '.join(words)}", "label": label})
        for subject, words, label in rows
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    raw = sources.read(str(folder / "rows.jsonl"))
    try:
        step = prepare(raw.rows)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            _clean(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["raw", "rows.jsonl", "unread"]
        return
    _clean(folder)
    pd.testing.assert_frame_equal(read_table(folder / "messages"), step.rows)
    assert read_table(folder / "unusable").values.tolist() == step.rejects.values.tolist()


def _clean(folder: Path) -> None:
    ingest(str(folder / "rows.jsonl"), folder / "raw", folder / "unread")
    clean_shards(folder / "raw", folder / "messages", folder / "unusable")


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(0, 2**32))
def test_campaigns_of_some_rows_of_a_file_are_those_of_a_table_of_them(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], seed: int
) -> None:
    draw = random.Random(seed)
    texts = [text for text, _ in campaigns(31)]
    texts = [texts[n] + " tail" * draw.randrange(3) for n in numbers]
    subjects = ["the same subject" if draw.random() < 0.1 else "" for _ in texts]
    rows = np.flatnonzero([draw.random() < 0.7 for _ in texts])
    table = signatures([normalised(text) for text in texts])
    path = tmp_path_factory.mktemp("signatures") / "table"
    table.tofile(path)
    mapped = np.memmap(path, dtype=table.dtype, mode="r", shape=table.shape)
    codes = np.array([7 if subject else 0 for subject in subjects], dtype=np.uint64)[rows]
    found = first_of_campaign(mapped, codes, rows)
    if not len(rows):
        assert not len(found)
        return
    frame = pd.DataFrame({"clean": texts, "subject": subjects}).iloc[rows]
    frame["id"] = [str(number) for number in range(len(rows))]
    assert assign_campaigns(frame)["campaign"].tolist() == [str(first) for first in found]


def test_large_campaigns_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"clean": [text for text, _ in campaigns(10)] * 30, "subject": ""})
    frame["id"] = frame.index.astype(str)
    whole = assign_campaigns(frame)["campaign"].tolist()
    monkeypatch.setattr("rampart.data.campaigns._COMPARED", 7)
    assert assign_campaigns(frame)["campaign"].tolist() == whole


def test_a_source_in_which_nothing_can_be_used_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "<p> </p>", "label": 0}\n', "utf-8")
    with pytest.raises(DataError, match="None of the 1 rows can be used: 1 no text"):
        prepare_dataset(str(tmp_path / "rows.jsonl"), tmp_path / "out")
    with pytest.raises(SourceError, match="gone"):
        prepare_dataset(str(tmp_path / "gone.jsonl"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_split_of_one_class_leaves_nothing(tmp_path: Path) -> None:
    rows = [json.dumps({"text": text, "label": 1}) for text, _ in campaigns(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    with pytest.raises(DataError, match="holds labels"):
        prepare_dataset(str(tmp_path / "rows.jsonl"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_sketches_of_other_messages_are_refused(tmp_path: Path) -> None:
    from rampart.data.rejects import rejecting
    from rampart.data.sketches import read_messages

    rows = [json.dumps({"text": text, "label": label}) for text, label in campaigns(9)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    ingest(str(tmp_path / "rows.jsonl"), tmp_path / "raw", tmp_path / "unread")
    with rejecting(tmp_path / "unusable") as rejects:
        read_messages(tmp_path / "raw", tmp_path / "work", rejects)
    assert len(load(tmp_path / "work")) == 9
    path = tmp_path / "work" / "sketches"
    path.write_bytes(path.read_bytes()[:-280])
    with pytest.raises(DataError, match="8 sketches of 9 messages"):
        load(tmp_path / "work")


def test_a_single_file_of_messages_is_split_as_well(tmp_path: Path) -> None:
    from rampart.data.tables import write_table

    rows = [json.dumps({"text": text, "label": label}) for text, label in campaigns(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    messages = prepare(sources.read(str(tmp_path / "rows.jsonl")).rows).rows
    write_table(messages, tmp_path / "messages.parquet")
    parts = split_shards(tmp_path / "messages.parquet", tmp_path / "table", seed=3)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table"), splits.split(messages, seed=3))
    assert parts["time_split none"] == row_count(tmp_path / "table") == 60
