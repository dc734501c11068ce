"""An evaluation holds every model, slice and metric, and survives JSON."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from rampart.errors import DataError
from rampart.evaluation.evaluation import Evaluation, evaluate, scored
from rampart.evaluation.metrics import METRICS, measure
from rampart.evaluation.operating_points import confusion
from tests.unit.evaluation.conftest import THRESHOLDS


def test_every_model_is_measured_on_every_slice_by_every_metric(evaluation, table) -> None:
    assert list(evaluation.models) == list(THRESHOLDS)
    for model, of_slices in evaluation.models.items():
        assert list(of_slices) == list(evaluation.slices)
        for name, figures in of_slices.items():
            assert list(figures) == list(METRICS), (model, name)
    assert evaluation.ensemble == "voting"
    assert evaluation.rows == len(table) == evaluation.slices["all"].rows
    assert evaluation.positives == table["label"].sum()
    assert evaluation.campaigns == table["campaign"].nunique()


def test_a_slices_figures_are_those_of_its_rows_alone(evaluation, table) -> None:
    part = table[table["has_html"]]
    expected = measure(scored(part, THRESHOLDS)["encoder"])
    figures = evaluation.models["encoder"]["HTML"]
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(expected)


def test_each_model_is_measured_at_its_own_threshold(evaluation, table) -> None:
    for model, threshold in THRESHOLDS.items():
        expected = confusion(scored(table, {model: threshold})[model])
        assert evaluation.confusion[model] == expected


def test_hard_ham_has_a_false_positive_rate_and_no_f1(evaluation) -> None:
    figures = evaluation.models["voting"]["hard ham"]
    assert figures["f1"] is None
    assert figures["false_positive_rate"].value > 0


def test_the_ensemble_is_compared_with_every_other_model(evaluation) -> None:
    assert list(evaluation.differences) == ["ngram", "encoder"]
    for model, figures in evaluation.differences.items():
        ours, theirs = evaluation.headline()["f1"], evaluation.headline(model)["f1"]
        assert figures["f1"].value == pytest.approx(ours.value - theirs.value)


def test_json_keeps_all_of_it_and_holds_no_nan(evaluation) -> None:
    document = evaluation.model_dump_json()
    assert Evaluation.model_validate_json(document) == evaluation

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(document, parse_constant=refuse)


def test_the_manifest_gets_the_ensembles_plain_values(evaluation) -> None:
    metrics = evaluation.manifest_metrics()
    assert metrics["all"]["f1"] == evaluation.headline()["f1"].value
    assert metrics["hard ham"]["f1"] is None
    assert list(metrics) == list(evaluation.slices)
    json.dumps(metrics, allow_nan=False)


def test_a_model_alone_is_its_own_ensemble(table) -> None:
    alone = evaluate(table, {"ngram": 0.5}, resamples=5)
    assert alone.ensemble == "ngram"
    assert alone.differences == {}


def test_progress_is_told_slice_by_slice(table) -> None:
    told: list[tuple[int, int]] = []
    result = evaluate(table, THRESHOLDS, resamples=2, on_progress=lambda *at: told.append(at))
    whole = len(result.slices)
    assert told == [(number, whole) for number in range(1, whole + 1)]


def test_the_same_seed_measures_the_same(table) -> None:
    first = evaluate(table, THRESHOLDS, resamples=20, seed=3)
    assert evaluate(table, THRESHOLDS, resamples=20, seed=3) == first
    assert evaluate(table, THRESHOLDS, resamples=20, seed=4) != first


def test_what_cannot_be_measured_is_refused_by_name(table) -> None:
    with pytest.raises(DataError, match="no_such_model"):
        evaluate(table, {"no_such_model": 0.5})
    with pytest.raises(DataError, match="campaign"):
        evaluate(table.drop(columns="campaign"), THRESHOLDS)
    with pytest.raises(DataError, match="No model"):
        evaluate(table, {})
    with pytest.raises(DataError, match="no row"):
        evaluate(pd.DataFrame(table.head(0)), THRESHOLDS)
