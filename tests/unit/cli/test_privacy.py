"""`rampart privacy` counts personal data without quoting it, and takes it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mails.jsonl"
    rows: list[dict[str, object]] = [
        {"id": "one", "text": "Write to ann@example.org or call (212) 555-0199."},
        {"id": "two", "text": "ANN@example.org wrote back."},
        {"id": "three", "text": "Nothing to see."},
        {"id": "four", "text": None},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _texts(path: Path) -> dict[str, str]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row.get("text") for row in rows}


def test_the_report_counts_and_never_quotes(rampart: Command, source: Path) -> None:
    said = rampart("privacy", "report", source)
    assert said.code == 0
    [row] = [line.split() for line in said.out.splitlines() if line.startswith("EMAIL_ADDRESS")]
    assert row == ["EMAIL_ADDRESS", "2", "66.7%"]
    assert "have to stay" in said.out
    assert "ann@" not in said.out.lower()


def test_json_holds_the_same(rampart: Command, source: Path) -> None:
    document = rampart("privacy", "report", source, "--json", "--texts", "1").document
    assert document["texts"] == 1
    assert document["found"]["EMAIL_ADDRESS"] == 1
    assert {feature["verdict"] for feature in document["features"]} <= {
        "as it is", "in tenths", "stays",
    }  # fmt: skip


def test_redacting_replaces_what_is_found_and_counts_it(
    rampart: Command, source: Path, tmp_path: Path
) -> None:
    said = rampart("privacy", "redact", "--input", source, "--output", tmp_path / "out.jsonl")
    texts = _texts(tmp_path / "out.jsonl")
    assert texts["one"] == "Write to <EMAIL_ADDRESS> or call <PHONE_NUMBER>."
    assert texts["three"] == "Nothing to see."
    assert texts["four"] is None
    assert "3 texts, 1 rows unusable; replaced: 2 EMAIL_ADDRESS, 1 PHONE_NUMBER." in said.err


def test_with_a_key_the_same_person_has_the_same_name(
    rampart: Command, source: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    for name in ("a", "b"):
        rampart("privacy", "redact", "--input", source, "--output", tmp_path / name, "--key", key)
    texts = _texts(tmp_path / "a")
    name = texts["two"].split()[0]
    assert name.startswith("<EMAIL_ADDRESS-")
    assert f"Write to {name} or" in texts["one"]
    assert _texts(tmp_path / "b") == texts


@pytest.mark.parametrize("content", [b"short", None])
def test_a_key_that_is_none_is_refused_and_nothing_is_written(
    rampart: Command, source: Path, tmp_path: Path, content: bytes | None
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_bytes(content)
    said = rampart(
        "privacy", "redact", "--input", source, "--output", tmp_path / "out", "--key", key
    )
    assert said.code == 3
    assert "random" in said.err
    assert not (tmp_path / "out").exists()


def test_a_source_without_a_text_is_refused(rampart: Command, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"text": null}\n', encoding="utf-8")
    said = rampart("privacy", "report", path)
    assert said.code == 3
    assert "holds no text" in said.err
