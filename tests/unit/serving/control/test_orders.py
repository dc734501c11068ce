"""What the control API tells the tuning pipeline is what was asked of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from components.tune.open import open_study
from pipelines.tuning import tuning
from rampart.tuning.settings import StudySettings
from serving.control import orders
from serving.control.studies import StudyOrder


@pytest.mark.parametrize(
    "asked",
    [
        {"target": "tabular", "seconds": 86400.0},
        {"target": "ngram", "trials": 7, "workers": 1, "parameters": {"ngram_c": 2.5}},
        {
            "target": "cascade",
            "trials": 9,
            "objectives": ("recall", "cost"),
            "models": ("ngram", "tabular", "encoder"),
            "warm_start_from": ("former", "older"),
            "seed": 3,
            "folds": 2,
            "sample": 80,
            "heartbeat": 5,
            "retries": 0,
        },
    ],
)
def test_the_study_that_the_pipeline_opens_is_the_one_asked_for(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = StudyOrder(name="s", table="s3://mails/2026", **asked)
    arguments = orders.tuning_arguments(order, "http://mlflow")
    defaults = {name: given.default for name, given in tuning.component_spec.inputs.items()}
    given = defaults | arguments
    assert given["workers"] == order.workers
    assert given["uri"] == "s3://mails/2026"
    opened: list[StudySettings] = []
    monkeypatch.setattr("rampart.data.tables.read_table", lambda _: None)
    monkeypatch.setattr("rampart.tuning.pool.Pool", MagicMock())
    monkeypatch.setattr(
        "rampart.tuning.studies.open_study", lambda _, settings: opened.append(settings)
    )
    wanted = set(open_study.component_spec.inputs) - {"table"}
    open_study.python_func(
        table=SimpleNamespace(path="table"), **{name: given[name] for name in wanted}
    )
    assert opened == [order.settings()]
