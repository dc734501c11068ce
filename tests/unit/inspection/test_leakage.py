"""A feature that tells the source is found, one that tells the label is not blamed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rampart.errors import InputError
from rampart.inspection import pictures
from rampart.inspection.importance import Parts, feature_importance
from rampart.inspection.leakage import _auc, leakage
from rampart.inspection.matrix import Matrix
from rampart.training.tabular import TabularTraining

QUICK = TabularTraining(rounds=30, patience=10)
COLUMNS = ("list_footer", "money", "noise")
ROWS = 600


def _planted(seed: int = 0) -> tuple[Matrix, list[str]]:
    """Half of the harmless texts come by a list whose footer is a feature; no spam does."""
    draw = np.random.default_rng(seed)
    label = np.repeat([0, 1], ROWS // 2).astype(np.int8)
    by_list = (label == 0) & (draw.random(ROWS) < 0.5)
    values = draw.normal(size=(ROWS, 3))
    values[:, 0] = by_list
    values[:, 1] += 2.5 * label
    sources = np.where(label == 1, draw.choice(["spam one", "spam two"], ROWS), "people")
    sources = np.where(by_list, "list", sources).tolist()
    campaigns = tuple(f"campaign {row // 3}" for row in range(ROWS))
    return Matrix(values, label, campaigns, COLUMNS, ("a", "a", "b")), sources


@pytest.fixture(scope="module")
def found():
    return leakage(*_planted(), QUICK, resamples=100)


def test_a_planted_footer_is_found_and_nothing_else_is_blamed(found) -> None:
    assert found.leaking == ["list_footer"]
    first = found.features[0]
    assert first.feature == "list_footer"
    assert first.source == "list"
    assert first.of_source.value == 1.0
    assert first.of_label.value == pytest.approx(0.75, abs=0.05)


def test_trees_tell_the_list_and_not_one_spam_folder_from_the_other(found) -> None:
    told = {one.source: one for one in found.sources}
    assert told["list"].auc.value > 0.99
    assert told["list"].strongest[0] == "list_footer"
    assert told["spam one"].auc.low < 0.5 < told["spam one"].auc.high
    # Of two sources one says it all.
    assert set(told) == {"list", "spam one"}


def test_without_the_planted_feature_nothing_leaks() -> None:
    matrix, sources = _planted()
    assert leakage(matrix.without(["list_footer"]), sources, QUICK, resamples=50).leaking == []


def test_where_each_label_has_one_source_nothing_can_be_told() -> None:
    matrix, _ = _planted()
    found = leakage(matrix, [f"source {label}" for label in matrix.labels], QUICK, resamples=20)
    assert found.sources == ()
    assert found.leaking == []


def test_a_source_of_one_campaign_is_not_trained_on_and_its_features_still_are_looked_at() -> None:
    matrix, sources = _planted()
    campaigns = [
        "one" if source == "list" else name
        for source, name in zip(sources, matrix.campaigns, strict=True)
    ]
    alike = Matrix(matrix.values, matrix.labels, tuple(campaigns), matrix.columns, matrix.families)
    found = leakage(alike, sources, QUICK, resamples=20)
    assert [one.source for one in found.sources] == ["spam one"]
    assert found.features[0].feature == "list_footer"


def test_sources_of_other_texts_are_refused() -> None:
    matrix, sources = _planted()
    with pytest.raises(InputError, match="599 sources"):
        leakage(matrix, sources[1:])


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_scikit_learns(seed) -> None:
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 6, 50).astype(float)
    positive = draw.random(50) < 0.4
    weights = draw.integers(0, 4, (3, 50)).astype(float)
    expected = [roc_auc_score(positive, values, sample_weight=row) for row in weights]
    assert _auc(values, positive, weights) == pytest.approx(expected)


def test_pictures_are_whole_and_name_the_features(found) -> None:
    matrix, _ = _planted()
    worth = feature_importance(Parts(matrix, matrix, matrix), QUICK, repeats=1, resamples=20)
    for svg in (pictures.leaks(found), pictures.importance(worth)):
        texts = {node.text for node in ET.fromstring(svg).iter() if node.tag.endswith("text")}
        assert {"list_footer", "money"} <= {text.strip() for text in texts if text}
