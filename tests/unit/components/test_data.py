"""The data components write tables and count what they leave out; a split needs its times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from kfp import dsl

from components.data.clean import clean
from components.data.ingest import ingest
from components.data.split import split
from components.progress import heard
from components.train.ngram import train_ngram
from rampart.data.tables import read_table
from tests.conftest import campaigns
from tests.unit.components.conftest import COUNT, Make


def test_ingest_keeps_rows_and_rejects_apart(chain: SimpleNamespace) -> None:
    raw, rejects = read_table(chain.raw.path), read_table(chain.unread.path)
    assert len(raw) == COUNT + 1
    assert list(rejects["reason"]) == ["label"]
    assert chain.raw.metadata == {
        "rows": COUNT + 1,
        "uri": chain.uri,
        "fingerprint": "f" * 64,
    }
    assert chain.unread.metadata == {"rows": 1}


def test_clean_counts_campaigns_and_reasons(chain: SimpleNamespace) -> None:
    messages = read_table(chain.messages.path)
    assert len(messages) == COUNT
    assert chain.messages.metadata == {"rows": COUNT, "campaigns": COUNT}
    assert sum(chain.unusable.metadata.values()) == 1
    assert list(read_table(chain.unusable.path)["id"]) == ["empty"]


def test_split_logs_the_rows_of_each_part(chain: SimpleNamespace) -> None:
    table = read_table(chain.table.path)
    expected = {
        "split train": 180,
        "split validation": 60,
        "split test": 60,
        "time_split none": 300,
    }
    assert chain.counts.metadata == expected
    assert dict(table["split"].value_counts()) == {"train": 180, "validation": 60, "test": 60}
    # The file that a local run's cache wants.
    assert json.loads(Path(chain.counts.path).read_text(encoding="utf-8")) == expected


def test_progress_is_told_in_lines_that_the_run_understands(
    chain: SimpleNamespace, artifact: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.python_func(
        raw=chain.raw,
        messages=artifact(dsl.Dataset, "messages"),
        rejects=artifact(dsl.Dataset, "rejects"),
    )
    told = [heard(line) for line in capsys.readouterr().out.splitlines()]
    assert told[-1] == (COUNT + 1, COUNT + 1)


def test_mails_with_a_time_of_arrival_are_split_by_time_as_well(
    artifact: Make, tmp_path: Path
) -> None:
    start = datetime(2002, 7, 1, tzinfo=UTC)
    for number, (text, label) in enumerate(campaigns(120, seed=4)):
        subject, _, body = text.partition("\n\n")
        when = format_datetime(start + timedelta(hours=number))
        mail = EmailMessage()
        mail["Received"] = f"from a.example by b.example; {when}"
        mail["Subject"] = subject
        mail.set_content(body)
        folder = tmp_path / "mails" / ("spam" if label else "ham")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03}.eml").write_bytes(mail.as_bytes())
    raw, messages, table = (artifact(dsl.Dataset, name) for name in ("raw", "messages", "table"))
    ingest.python_func(
        uri=str(tmp_path / "mails"),
        fingerprint="",
        text_column="text",
        label_column="label",
        raw=raw,
        rejects=artifact(dsl.Dataset, "unread"),
    )
    clean.python_func(raw=raw, messages=messages, rejects=artifact(dsl.Dataset, "unusable"))
    counts = artifact(dsl.Metrics, "counts")
    split.python_func(messages=messages, seed=0, time_split=True, table=table, counts=counts)
    rows = read_table(table.path)
    parts = {name: list(part["arrived"]) for name, part in rows.groupby("time_split")}
    assert {name: len(times) for name, times in parts.items()} == {
        "train": 72,
        "validation": 24,
        "test": 24,
    }
    assert max(parts["train"]) < min(parts["validation"])
    assert max(parts["validation"]) < min(parts["test"])
    assert counts.metadata["time_split test"] == 24
    model = artifact(dsl.Model, "model")
    train_ngram.python_func(
        table=table,
        column="time_split",
        words=2,
        regularisation=30.0,
        min_documents=2,
        max_features=10_000,
        model=model,
    )
    assert model.metadata == {
        "texts": 72,
        "column": "time_split",
        "ngram_words": "2",
        "ngram_regularisation": "30.0",
        "ngram_min_documents": "2",
        "ngram_max_features": "10000",
    }
    assert sorted(path.name for path in Path(model.path).iterdir()) == [
        "vocabulary.json",
        "weights.npz",
    ]
