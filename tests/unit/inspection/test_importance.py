"""What a feature is worth: the one that decides is told from noise, a copy hides the other."""

from __future__ import annotations

import numpy as np
import pytest

from rampart.data.labelled import Labelled
from rampart.errors import InputError
from rampart.features.base import Feature, FeatureFamily, Reading
from rampart.features.security import SecurityFeatures
from rampart.inspection.importance import Parts, feature_importance, without
from rampart.inspection.matrix import Matrix, beside
from rampart.training.tabular import TabularTraining

QUICK = TabularTraining(rounds=40, patience=10)
COLUMNS = ("decides", "helps", "noise", "more noise")
FAMILIES = ("strong", "strong", "weak", "weak")


def _matrix(rows: int, seed: int) -> Matrix:
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 2, rows).astype(np.int8)
    values = draw.normal(size=(rows, 4))
    values[:, 0] += 3.0 * label
    values[:, 1] += 1.0 * label
    campaigns = tuple(f"campaign {row // 2}" for row in range(rows))
    return Matrix(values, label, campaigns, COLUMNS, FAMILIES)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts(_matrix(800, 0), _matrix(300, 1), _matrix(400, 2))


@pytest.fixture(scope="module")
def found(parts):
    return feature_importance(parts, QUICK, resamples=200)


def test_what_decides_comes_first_and_noise_is_not_told_from_none(found) -> None:
    assert [one.feature for one in found.features[:2]] == ["decides", "helps"]
    first, second, *noise = found.features
    assert first.permutation.low > second.permutation.high > 0
    assert first.shap.low > second.shap.high
    for one in noise:
        assert one.permutation.low < 0.02
        assert one.permutation.value < 0.1 * second.permutation.value


def test_a_family_is_worth_what_is_lost_without_it(found) -> None:
    strong, weak = found.families
    assert (strong.family, strong.features) == ("strong", 2)
    assert strong.adds["pr_auc"].low > 0.2
    assert abs(weak.adds["pr_auc"].value) < 0.02
    assert strong.alone["pr_auc"].value == pytest.approx(found.together["pr_auc"].value, abs=0.02)
    assert weak.alone["pr_auc"].value < 0.65


def test_the_only_family_has_nothing_to_be_compared_with(parts) -> None:
    alone = parts.keep([family == "strong" for family in FAMILIES])
    [family] = feature_importance(alone, QUICK, repeats=1, resamples=20).families
    assert family.adds is None
    assert family.alone["f1"] is not None


def test_two_features_that_say_the_same_hide_each_other_and_leaving_both_out_shows(parts) -> None:
    twice = Parts(*(_with_copy(part) for part in (parts.train, parts.watched, parts.tested)))
    found = feature_importance(twice, QUICK, repeats=1, resamples=20)
    worth = {one.feature: one.permutation.value for one in found.features}
    alone = feature_importance(parts, QUICK, repeats=1, resamples=20).features[0]
    assert worth["decides"] < alone.permutation.value
    chosen = {"one": ["decides"], "both": ["decides", "copy"]}
    lost = without(twice, chosen, QUICK, resamples=20)
    lost_one = lost["one"]["pr_auc"]
    lost_both = lost["both"]["pr_auc"]
    assert lost_one.value < 0.02 < 0.1 < lost_both.value


def _with_copy(part: Matrix) -> Matrix:
    copy = Matrix(part.values[:, :1].copy(), part.labels, part.campaigns, ("copy",), ("strong",))
    return beside(part, copy)


def test_the_same_seed_gives_the_same_figures(parts, found) -> None:
    assert feature_importance(parts, QUICK, resamples=200) == found


def test_a_feature_that_is_not_there_cannot_be_left_out(parts) -> None:
    with pytest.raises(InputError, match="nothing"):
        without(parts, {"it": ["nothing"]}, QUICK)


def test_families_are_read_into_named_columns() -> None:
    texts = Labelled(["win", "hello"], np.array([1, 0], dtype=np.int8), ["WIN $$$", "hello"])
    matrix = Matrix.of(texts, [SecurityFeatures()])
    assert matrix.values.shape == (2, len(matrix.columns))
    assert set(matrix.families) == {"security"}
    assert np.array_equal(matrix.values, SecurityFeatures().transform(["WIN $$$", "hello"]))
    assert matrix.campaigns == ("", "")


def test_a_matrix_that_does_not_fit_its_labels_is_refused() -> None:
    with pytest.raises(InputError, match="do not fit"):
        Matrix(np.zeros((2, 1)), np.zeros(3, dtype=np.int8), ("", ""), ("a",), ("b",))
    with pytest.raises(InputError, match="do not fit"):
        Matrix(np.zeros((2, 2)), np.zeros(2, dtype=np.int8), ("", ""), ("a", "a"), ("b", "b"))


def test_matrices_of_different_texts_are_not_put_beside_each_other() -> None:
    one = Matrix(np.zeros((2, 1)), np.array([0, 1], dtype=np.int8), ("", ""), ("a",), ("b",))
    other = Matrix(np.zeros((2, 1)), np.array([1, 0], dtype=np.int8), ("", ""), ("c",), ("d",))
    with pytest.raises(InputError, match="different texts"):
        beside(one, other)


class Known(FeatureFamily):
    """Whether a text was a threat when it was seen: what must not be read in training texts."""

    name = "known"
    features = (Feature("known", "0 or 1", "seen as a threat"),)

    def fit(self, texts, labels=None, campaigns=None):
        self.seen = {text.text for text, label in zip(texts, labels, strict=True) if label}
        return self

    def read(self, text):
        return Reading(np.array([float(text.text in self.seen)]))


def test_a_family_that_learns_is_read_as_if_it_had_not_seen_the_text() -> None:
    names = [f"text {letter} {number}" for number in range(20) for letter in "ab"]
    labels = np.tile([0, 0, 1, 1], 10).astype(np.int8)
    campaigns = [f"campaign {row // 2}" for row in range(40)]
    train = Labelled(names, labels, campaigns=campaigns)
    family = Known()
    assert not Matrix.learned(train, family, folds=5).values.any()
    # Fitted on all of them in the end, for texts to come.
    assert np.array_equal(Matrix.of(train, [family]).values[:, 0], labels)
