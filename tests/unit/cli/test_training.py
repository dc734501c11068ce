"""What `rampart train` refuses; what it trains is in tests/integration/test_train.py."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rampart.data.tables import write_table
from tests.conftest import split_table
from tests.unit.cli.conftest import Command, Result


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split_table(tmp_path_factory.mktemp("table") / "split.parquet")


def _train(rampart: Command, table: Path, bundle: Path, base: Path, *more: str) -> Result:
    where = ("--table", table, "--bundle", bundle, "--base", base)
    size = ("--tokens", "32", "--tail", "8", "--layers", "1", "--batch-size", "16")
    done = rampart("train", *where, *size, *more)
    assert not bundle.exists()
    assert "Traceback" not in done.err
    return done


def test_a_table_without_the_split_is_refused(
    rampart: Command, table: Path, base_encoder: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(table).drop(columns="split")
    write_table(rows, tmp_path / "plain.parquet")
    done = _train(rampart, tmp_path / "plain.parquet", tmp_path / "bundle", base_encoder)
    assert done.code == 8
    assert "no training and validation part" in done.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--micro-batch", "some"), "Give a number of messages, or auto"),
        (("--micro-batch", "5"), "Choose one of 1, 2, 4, 8, 16"),
        (("--precision", "int3"), "precision cannot be 'int3'"),
    ],
)
def test_what_cannot_be_computed_is_said(
    rampart: Command,
    table: Path,
    base_encoder: Path,
    tmp_path: Path,
    more: tuple[str, ...],
    words: str,
) -> None:
    done = _train(rampart, table, tmp_path / "bundle", base_encoder, *more)
    assert done.code != 0
    assert words in " ".join(done.err.split())
