"""The bundle is measured, compared and registered; KFP's UI gets what it draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kfp import dsl

from components.deploy.register import register
from components.evaluate.explain import explain
from components.evaluate.gate import gate
from rampart.bundle.store import verify
from rampart.data.tables import read_table
from rampart.evaluation.gate import Decision
from rampart.registry.connection import default_tracking_uri
from rampart.registry.registry import Registry
from tests.unit.components.conftest import Make


def _written(artifact: Any) -> Any:
    return json.loads(Path(artifact.path).read_text(encoding="utf-8"))


def test_the_bundle_carries_its_figures_its_card_and_the_drift_reference(
    chain: SimpleNamespace,
) -> None:
    manifest = verify(Path(chain.measured["bundle"].path))
    assert {"card.md", "reference.parquet"} <= set(manifest.files)
    assert "all" in manifest.metrics
    headline = chain.measured["metrics"].metadata
    assert headline["f1"] == pytest.approx(manifest.metrics["all"]["f1"], abs=1e-4)
    assert headline["f1"] > 0.9
    card = Path(chain.measured["card"].path).read_text(encoding="utf-8")
    assert card == (Path(chain.measured["bundle"].path) / "card.md").read_text(encoding="utf-8")


def test_metrics_are_numbers_that_the_ui_lists(chain: SimpleNamespace) -> None:
    metrics = chain.measured["metrics"]
    assert {"f1", "pr_auc", "roc_auc", "brier"} <= set(metrics.metadata)
    assert all(isinstance(value, float) for value in metrics.metadata.values())
    assert _written(metrics) == metrics.metadata


def test_the_roc_curve_is_a_list_of_points_from_none_to_all(chain: SimpleNamespace) -> None:
    [(key, points)] = chain.measured["roc"].metadata.items()
    assert key == "confidenceMetrics"
    for point in points:
        assert set(point) == {"confidenceThreshold", "recall", "falsePositiveRate"}
        assert all(isinstance(value, float) for value in point.values())
    rates = [(point["falsePositiveRate"], point["recall"]) for point in points]
    assert rates[0] == (0, 0)
    assert rates[-1] == (1, 1)
    assert rates == sorted(rates)


def test_the_confusion_matrix_counts_every_test_row_under_its_label(
    chain: SimpleNamespace,
) -> None:
    matrix = chain.measured["confusion"].metadata["confusionMatrix"]
    assert [spec["displayName"] for spec in matrix["annotationSpecs"]] == ["ham", "spam"]
    rows = [row["row"] for row in matrix["rows"]]
    assert [sum(row) for row in rows] == [40, 20]
    assert rows == _written(chain.measured["confusion"])


def test_the_report_and_the_figures_cover_the_campaign_split_alone_where_there_are_no_times(
    chain: SimpleNamespace,
) -> None:
    assert list(_written(chain.measured["evaluation"])) == ["Campaign split"]
    html = Path(chain.measured["report"].path).read_text(encoding="utf-8")
    assert "Campaign split" in html
    assert "Time split" not in html
    predictions = read_table(chain.measured["predictions"].path)
    assert len(predictions) == 60
    assert {"ngram", "encoder", "voting"} <= set(predictions.columns)


def test_the_explanations_show_held_out_texts_and_what_weighs_over_them(
    chain: SimpleNamespace, artifact: Make
) -> None:
    page = artifact(dsl.HTML, "explanations")
    explain.python_func(
        table=chain.table, bundle=chain.measured["bundle"], seed=0, explanations=page
    )
    html = Path(page.path).read_text(encoding="utf-8")
    assert html.count("<svg") >= 2
    assert len(re.findall(r"\d+\. (?:ham|spam) called (?:ham|spam), probability", html)) >= 12
    assert "Over 60 held-out texts." in html


def test_the_first_bundle_becomes_the_champion(chain: SimpleNamespace) -> None:
    decided = Decision.model_validate_json(Path(chain.decision.path).read_bytes())
    assert decided.promote
    assert chain.decision.metadata == {
        "promote": True,
        "alias": "champion",
        "reason": decided.reason,
    }
    assert chain.registered.version == 1
    assert chain.registered.alias == "champion"
    assert chain.registered.reason == decided.reason
    champion = Registry(chain.tracking_uri).champion()
    assert champion is not None
    assert champion.bundle_id == verify(Path(chain.measured["bundle"].path)).id


def _gate(chain: SimpleNamespace, tracking_uri: str, decision: Any) -> Decision:
    gate.python_func(
        table=chain.table,
        bundle=chain.measured["bundle"],
        predictions=chain.measured["predictions"],
        tracking_uri=tracking_uri,
        model_name="rampart",
        decision=decision,
    )
    return Decision.model_validate_json(Path(decision.path).read_bytes())


def test_a_bundle_is_compared_with_the_champion_on_the_same_rows(
    chain: SimpleNamespace, artifact: Make, tmp_path: Path
) -> None:
    tracking_uri = default_tracking_uri(tmp_path / "registry")
    first = Decision.model_validate_json(Path(chain.decision.path).read_bytes())
    # The same models without figures and card: another bundle of the same quality.
    Registry(tracking_uri).register(Path(chain.present.candidate.path), decision=first)
    decided = _gate(chain, tracking_uri, artifact(dsl.Artifact, "decision"))
    assert {"f1", "recall_at_1_fpr"} <= set(decided.comparisons)
    assert "first model" not in decided.reason


def test_a_champion_that_comes_again_stays_the_champion(
    chain: SimpleNamespace, artifact: Make
) -> None:
    decision = artifact(dsl.Artifact, "decision")
    decided = _gate(chain, chain.tracking_uri, decision)
    assert {"f1", "recall_at_1_fpr"} <= set(decided.comparisons)
    again = register.python_func(
        bundle=chain.measured["bundle"],
        decision=decision,
        evaluation=chain.measured["evaluation"],
        report=chain.measured["report"],
        tracking_uri=chain.tracking_uri,
        model_name="rampart",
    )
    assert (again.version, again.alias) == (1, "champion")
    assert len(Registry(chain.tracking_uri).versions()) == 1
