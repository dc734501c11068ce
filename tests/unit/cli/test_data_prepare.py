"""`rampart data prepare` makes a dataset of a source, shows how far it is, and counts it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from rampart.bundle.store import verify
from rampart.data.manifest import Manifest
from rampart.data.tables import read_table
from rampart.inference.engine import Engine
from tests.conftest import campaigns
from tests.unit.cli.conftest import Command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "[x] mine.jsonl"
    rows = [{"text": text, "label": label} for text, label in campaigns(90)]
    rows += [{"text": "no label", "label": "perhaps"}, {"text": "", "label": 1}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_json_counts_what_is_in_the_dataset(rampart: Command, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "dataset"
    document = rampart("data", "prepare", source, "--output", output, "--json").document
    assert document["messages"] == document["campaigns"] == len(read_table(output)) == 90
    assert document["threats"] == 30
    assert document["parts"] == {
        "split train": 54, "split validation": 18, "split test": 18, "time_split none": 90,
    }  # fmt: skip
    assert document["rejects"] == {"label": 1, "no text": 1}
    assert len(read_table(output / "rejects")) == 2


def test_the_summary_says_the_same_and_each_step_was_shown(
    rampart: Command, source: Path, tmp_path: Path
) -> None:
    said = rampart("data", "prepare", source, "--output", tmp_path / "dataset")
    assert said.code == 0
    assert str(tmp_path / "dataset") in said.out
    rows = [line.split() for line in said.out.splitlines()]
    assert ["split", "train", "54"] in rows
    assert ["no", "text", "1"] in rows
    steps = [line for line in said.err.splitlines() if line.endswith(": done")]
    assert len(steps) == 3


def test_what_is_there_already_stays_unless_it_is_to_be_replaced(
    rampart: Command, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dataset"
    assert rampart("data", "prepare", source, "--output", output).code == 0
    said = rampart("data", "prepare", source, "--output", output, "--seed", 1)
    assert said.code == 5
    assert "there already" in said.err.splitlines()[-1]
    assert rampart("data", "prepare", source, "--output", output, "--replace").code == 0


def test_a_source_that_is_not_there_leaves_nothing(rampart: Command, tmp_path: Path) -> None:
    said = rampart("data", "prepare", tmp_path / "gone.jsonl", "--output", tmp_path / "dataset")
    assert said.code == 6
    assert "gone.jsonl" in said.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_the_ngrams_are_trained_on_a_dataset_that_is_never_in_memory_whole(
    rampart: Command, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, bundle = tmp_path / "dataset", tmp_path / "bundles" / "quick"
    assert rampart("data", "prepare", source, "--output", dataset).code == 0
    monkeypatch.setattr("rampart.data.tables.read_table", None)
    monkeypatch.setattr("rampart.fitting._VALIDATION_TEXTS", 12)
    asked = ("train", "--table", dataset, "--bundle", bundle, "--only", "ngram", "--json")
    document = rampart(*asked).document
    manifest = verify(bundle)
    assert manifest.id == document["id"]
    assert [model.kind for model in manifest.models] == ["ngram"]
    assert manifest.data_fingerprint == Manifest.load(dataset).fingerprint
    assert [path.name for path in bundle.parent.iterdir()] == ["quick"]
    table = pd.read_parquet(dataset / "part-00000.parquet")
    test = table[table["split"] == "test"]
    verdicts = Engine.load(bundle).score(test["text"].tolist())
    found = [verdict.label == "spam" for verdict in verdicts]
    assert sum(found == test["label"].to_numpy(dtype=bool)) >= 17


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--only", "trees"), "--only is 'trees'"),
        (("--only", "ngram", "--column", "time_split"), "no training and validation part"),
        (("--only", "ngram", "--column", "parts"), "no column 'parts'"),
    ],
)
def test_what_the_ngrams_cannot_be_trained_on_is_said(
    rampart: Command, source: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    rampart("data", "prepare", source, "--output", tmp_path / "dataset")
    found = rampart("train", "--table", tmp_path / "dataset", "--bundle", tmp_path / "b", *more)
    assert found.code != 0
    assert said in found.err.splitlines()[-1]
    assert not (tmp_path / "b").exists()
