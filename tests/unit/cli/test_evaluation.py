"""`rampart evaluate` measures a bundle on the user's own rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import campaigns
from tests.unit.cli.conftest import Command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    rows = [{"body": text, "is": ("ham", "spam")[label]} for text, label in campaigns(60, seed=5)]
    rows.append({"body": "something", "is": "perhaps"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


COLUMNS = ("--text-column", "body", "--label-column", "is", "--resamples", "50")


def test_the_table_has_every_metric_of_every_model(
    rampart: Command, bundle: Path, source: Path, tmp_path: Path
) -> None:
    report = tmp_path / "out" / "report.html"
    said = rampart("evaluate", bundle, "--data", source, *COLUMNS, "--report", report)
    assert said.code == 0
    head = said.out.splitlines()[:2]
    assert "60 messages of 60 campaigns, 20 threats" in head[0]
    assert {"ngram", "encoder", "voting"} <= set(head[1].split())
    for metric in ("F1", "PR-AUC", "Brier"):
        assert metric in said.out
    assert "1 rows left out: label" in said.err
    assert f"Report: {report}" in said.err
    assert "<html" in report.read_text(encoding="utf-8")


def test_json_is_the_whole_evaluation(rampart: Command, bundle: Path, source: Path) -> None:
    document = rampart("evaluate", bundle, "--data", source, *COLUMNS, "--json").document
    assert document["rows"] == 60
    assert document["positives"] == 20
    assert document["rejects"] == {"label": 1}


def test_what_is_wrong_is_said_in_one_line(
    rampart: Command, bundle: Path, source: Path, tmp_path: Path
) -> None:
    said = rampart("evaluate", bundle, "--data", source)
    assert (said.code, said.err.splitlines()[-1].partition(":")[0]) == (5, "error")
    said = rampart("evaluate", bundle, "--data", source, *COLUMNS, "--report", tmp_path)
    assert said.code == 3
    assert "--report" in said.err
    assert rampart("evaluate", bundle, "--data", source, "--resamples", 1).code == 2
