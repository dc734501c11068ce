"""A small split table, a storage of its own for each test, and studies that take a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rampart.data.splits import by_campaign
from rampart.data.tables import write_table
from rampart.tuning.settings import StudySettings
from rampart.tuning.studies import open_study
from rampart.tuning.worker import work
from tests.conftest import campaigns

ROWS = 180


def split_table(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    texts, labels = zip(*campaigns(rows, seed), strict=True)
    table = pd.DataFrame({"id": [f"m{number}" for number in range(rows)], "text": texts})
    table = table.assign(clean=table["text"], label=np.array(labels, dtype=np.int8))
    table["campaign"] = table["id"]
    return table.assign(split=by_campaign(table))


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return split_table()


@pytest.fixture(scope="session")
def table_file(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    write_table(table, path)
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


def asked(**given: Any) -> StudySettings:
    """Settings of a study that is over in a second."""
    quick = {"name": "s", "target": "tabular", "trials": 3, "folds": 1, "rounds": 60}
    return StudySettings.of(**{**quick, "heartbeat": 1, **given})


Run = Callable[..., Any]


@pytest.fixture
def run(storage: str, table: pd.DataFrame, cache: Path) -> Run:
    """Open a study and work on it here until it ends; returns it."""

    def run(settings: StudySettings, data: pd.DataFrame = table, **more: Any) -> Any:
        study = open_study(storage, settings)
        work(storage, settings.name, data, **{"cache": cache, **more})
        return study

    return run
