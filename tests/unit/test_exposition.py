"""The page on what verdicts rest on shows mistakes first and runs nothing that a mail brings."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from rampart.errors import DataError
from rampart.exposition import exposition
from rampart.inference.engine import Engine
from tests.conftest import campaigns

HEADING = re.compile(r"(\d+)\. (ham|spam) called (ham|spam), probability (\d\.\d{4})(, a mistake)?")


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


def _table(count: int = 60) -> pd.DataFrame:
    rows = campaigns(count, seed=5)
    return pd.DataFrame(
        {
            "id": [f"m{number:03}" for number in range(count)],
            "text": [text for text, _ in rows],
            "label": [label for _, label in rows],
            "campaign": [f"c{number // 2}" for number in range(count)],
        }
    )


def _headings(html: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(found.groups() for found in HEADING.finditer(html)))


def test_mistakes_come_first_and_both_labels_are_shown(engine: Engine) -> None:
    table = _table()
    # Labels turned about: these verdicts are mistakes.
    table.loc[:3, "label"] = 1 - table.loc[:3, "label"]
    shown = _headings(exposition(engine, table, shown=10))
    assert [bool(heading[4]) for heading in shown[:4]] == [True] * 4
    right = [heading for heading in shown if not heading[4]]
    assert {heading[1] for heading in right} == {"ham", "spam"}
    assert [int(heading[0]) for heading in shown] == list(range(1, 11))


def test_the_page_is_the_same_for_the_same_seed(engine: Engine) -> None:
    table = _table()
    one, other = (exposition(engine, table, texts=20, seed=3) for _ in range(2))
    assert one == other
    assert one != exposition(engine, table, texts=20, seed=4)


def test_words_that_weigh_are_named_over_all_texts_and_for_each_verdict(engine: Engine) -> None:
    html = exposition(engine, _table())
    assert "Over 60 held-out texts." in html
    assert re.search(r"Over the \d+ texts that are called spam\.", html)
    assert re.search(r"Over the \d+ texts that are called ham\.", html)


def test_a_hostile_mail_is_shown_and_not_obeyed(engine: Engine) -> None:
    table = _table(8)
    table.loc[0, "text"] = "<script>alert(1)</script> win <img src=x onerror=alert(2)> money now"
    html = exposition(engine, table)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_progress_is_told_to_the_end(engine: Engine) -> None:
    told: list[tuple[int, int]] = []
    exposition(engine, _table(40), on_progress=lambda done, total: told.append((done, total)))
    assert told == [(32, 40), (40, 40)]


def test_one_text_is_enough_and_none_is_an_error(engine: Engine) -> None:
    assert len(_headings(exposition(engine, _table(1)))) == 1
    with pytest.raises(DataError, match="no message"):
        exposition(engine, _table(1).iloc[:0])
