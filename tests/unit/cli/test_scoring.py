"""`rampart score` and `rampart explain` give the engine's verdicts, in order and safe to show."""

from __future__ import annotations

import json
import mailbox
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from rampart.inference.engine import Engine
from tests.conftest import mails
from tests.unit.cli.conftest import Command

TEXTS, _ = mails(150, seed=7)


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """More rows than one batch, two of which cannot be used."""
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"id": f"m{row}", "text": text}) for row, text in enumerate(TEXTS)]
    lines[3] = "{no json"
    lines[70] = json.dumps({"id": "m70", "text": 7})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_row_gets_its_line_in_order_and_unusable_ones_are_counted(
    rampart: Command, bundle: Path, source: Path, engine: Engine, tmp_path: Path
) -> None:
    target = tmp_path / "new" / "verdicts.jsonl"
    said = rampart("score", bundle, "--input", source, "--output", target, "--top-k", 3)
    assert said.code == 0
    assert said.out == ""
    assert "148 texts scored, 2 rows unusable." in said.err
    rows = _lines(target.read_text(encoding="utf-8"))
    assert len(rows) == len(TEXTS)
    usable = [row for number, row in enumerate(rows) if number not in {3, 70}]
    assert [row["id"] for row in usable] == [f"m{n}" for n in range(150) if n not in {3, 70}]
    assert set(rows[3]) == set(rows[70]) == {"id", "error"}
    assert "not a string" in rows[70]["error"]
    verdicts = engine.score([TEXTS[0], TEXTS[1]], top_k=3)
    for row, verdict in zip(rows[:2], verdicts, strict=True):
        assert row["label"] == verdict.label
        assert row["logit"] == pytest.approx(verdict.logit, abs=1e-4)
        assert len(row["contributions"]) <= 3
    assert list(target.parent.iterdir()) == [target]


def test_a_dash_prints_the_verdicts(rampart: Command, bundle: Path, source: Path) -> None:
    said = rampart("score", bundle, "--input", source, "--output", "-", "--top-k", 0)
    rows = _lines(said.out)
    assert len(rows) == len(TEXTS)
    assert rows[0]["contributions"] == []


def test_the_threshold_decides_the_label(rampart: Command, bundle: Path, source: Path) -> None:
    arguments = ("score", bundle, "--input", source, "--output", "-", "--threshold")
    labels = [
        {row["label"] for row in _lines(rampart(*arguments, limit).out) if "label" in row}
        for limit in (0, 1)
    ]
    assert labels == [{"spam"}, {"ham"}]
    assert rampart(*arguments, "1.5").code == 2


def test_a_run_that_fails_leaves_the_earlier_output(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    target = tmp_path / "verdicts.jsonl"
    target.write_text("earlier\n", encoding="utf-8")
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n", encoding="utf-8")
    said = rampart("score", bundle, "--input", bad, "--output", target)
    assert said.code == 5
    assert "'text'" in said.err
    assert rampart("score", bundle, "--input", tmp_path / "no.csv", "--output", target).code == 6
    assert target.read_text(encoding="utf-8") == "earlier\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "verdicts.jsonl"]


def test_an_output_that_cannot_be_written_is_the_callers_mistake(
    rampart: Command, bundle: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target in (tmp_path / "file" / "inside.jsonl", tmp_path):
        said = rampart("score", bundle, "--input", source, "--output", target)
        assert said.code == 3
        assert "cannot be written" in said.err
        assert "--output" in said.err


def test_a_table_may_name_its_columns_as_it_likes(
    rampart: Command, bundle: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("number,body\n17,Win a free prize today\n18,Lunch at noon\n", encoding="utf-8")
    columns = ("--text-column", "body", "--id-column", "number")
    said = rampart("score", bundle, "--input", table, "--output", "-", *columns)
    assert [row["id"] for row in _lines(said.out)] == ["17", "18"]


def test_mails_are_scored_from_an_mbox_and_from_a_folder(
    rampart: Command, bundle: Path, engine: Engine, tmp_path: Path
) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Win a free prize today"
    mail.set_content("Click here to claim your money.")
    folder = tmp_path / "mails"
    folder.mkdir()
    for name in ("a.eml", "b.eml"):
        (folder / name).write_bytes(mail.as_bytes())
    box = mailbox.mbox(tmp_path / "all.mbox")
    box.add(mail)
    box.close()
    [verdict] = engine.score(["Win a free prize today\n\nClick here to claim your money.\n"])
    for source, count in ((folder, 2), (tmp_path / "all.mbox", 1)):
        rows = _lines(rampart("score", bundle, "--input", source, "--output", "-").out)
        assert len(rows) == count
        assert rows[0]["logit"] == pytest.approx(verdict.logit, abs=1e-4)


def test_explain_shows_a_sum_that_is_the_logit(
    rampart: Command, bundle: Path, engine: Engine
) -> None:
    text = "Win a free prize today\n\nLunch at noon"
    [verdict] = engine.score([text], top_k=4)
    said = rampart("explain", bundle, "--text", text, "--top-k", 4)
    assert said.code == 0
    first, *_ = said.out.splitlines()
    assert first.split()[0] == verdict.label
    assert f"probability {verdict.probability:.4f}" in first
    assert f"settled by {verdict.stage}" in first
    assert text in said.out
    table = said.out.partition("What the logit is made of")[2].splitlines()[2:]
    *terms, total = [float(line.split()[0]) for line in table if line.strip()]
    assert len(terms) == 5
    assert sum(terms) == pytest.approx(total, abs=0.005)


def test_explain_as_json_is_the_verdict(rampart: Command, bundle: Path) -> None:
    text = "Win a free prize today"
    document = rampart("explain", bundle, "--text", text, "--json").document
    assert document["label"] in {"ham", "spam"}
    parts = document["contributions"]
    assert document["bias"] + sum(part["value"] for part in parts) == pytest.approx(
        document["logit"]
    )
    assert {text[part["start"] : part["end"]] for part in parts} <= set(text.split())


def test_explain_reads_standard_input_whatever_its_bytes(rampart: Command, bundle: Path) -> None:
    said = rampart("explain", bundle, "--text", "-", stdin=b"Win a free prize \xff\xfe today")
    assert said.code == 0
    assert "Win a free prize \N{REPLACEMENT CHARACTER}" in said.out


def test_control_characters_of_a_text_do_not_reach_the_terminal(
    rampart: Command, bundle: Path
) -> None:
    text = "Win\x1b[31m a \x9b31m free\rprize \x07\x08 [bold]today[/bold] :smile:\n\ttab"
    said = rampart("explain", bundle, "--text", "-", stdin=text.encode())
    assert said.code == 0
    assert not {*map(chr, range(32)), *map(chr, range(127, 160))} - {"\n", "\t"} & set(said.out)
    assert "[bold]today[/bold] :smile:" in said.out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs Unix")
def test_a_broken_bundle_is_found_before_anything_is_read(rampart: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never.jsonl")
    said = rampart("score", tmp_path, "--input", tmp_path / "never.jsonl", "--output", "-")
    assert said.code == 7


def test_one_model_may_be_asked_alone_and_one_that_is_not_there_is_named(
    rampart: Command, bundle: Path, engine: Engine
) -> None:
    text = TEXTS[0]
    said = rampart("explain", bundle, "--text", text, "--models", "ngram", "--json")
    [verdict] = engine.score([text], models=["ngram"])
    assert json.loads(said.out)["logit"] == pytest.approx(verdict.logit, abs=1e-4)
    assert json.loads(said.out)["stage"] == "ngram"
    shown = rampart("explain", bundle, "--text", text, "--models", "all")
    assert "Each model alone: ngram" in shown.out
    refused = rampart("explain", bundle, "--text", text, "--models", "oracle")
    assert refused.code == 3
    assert "oracle" in refused.err
    assert "ngram" in refused.err
