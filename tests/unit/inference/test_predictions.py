"""What evaluation measures: every model's probability beside the ensemble's, row by row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rampart.inference.engine import Engine
from rampart.inference.predictions import predictions, thresholds
from rampart.models.base import sigmoid
from tests.conftest import mails


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


def _table(count: int) -> pd.DataFrame:
    texts, labels = mails(count, seed=60)
    return pd.DataFrame({
        "id": [str(number) for number in range(count)], "text": texts, "label": labels,
        "group": "made", "campaign": range(count), "has_html": [text[0] == "<" for text in texts],
    }, index=range(100, 100 + count))  # fmt: skip


def test_each_row_has_what_the_engine_says_of_its_text(engine: Engine) -> None:
    table = _table(300)
    told: list[tuple[int, int]] = []
    got = predictions(engine, table, on_progress=lambda *step: told.append(step))
    assert got["id"].tolist() == table["id"].tolist()
    assert got["characters"].tolist() == table["text"].str.len().tolist()
    verdicts = engine.score(table["text"].tolist(), explain="none")
    assert got["voting"].tolist() == pytest.approx([v.probability for v in verdicts], abs=1e-6)
    logits = engine.logits(table["text"].tolist())
    for entry in engine.manifest.models:
        expected = sigmoid(entry.calibration(logits[entry.name]))
        assert got[entry.name].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert told[-1] == (300, 300)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_an_empty_table_has_the_same_columns(engine: Engine) -> None:
    empty, full = predictions(engine, _table(3).iloc[:0]), predictions(engine, _table(3))
    assert empty.empty
    assert list(empty.columns) == list(full.columns)


def test_every_column_has_its_threshold_the_ensembles_last(engine: Engine) -> None:
    limits = thresholds(engine)
    assert list(limits) == ["ngram", "encoder", "voting"]
    assert limits["voting"] == engine.manifest.threshold
    assert set(limits) < set(predictions(engine, _table(3)).columns)
