"""The tabular model: a sum over named features, shown where they were read; no code in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rampart.data.cleaning import AlignedText, clean
from rampart.data.labelled import Labelled
from rampart.errors import BundleError, TrainingError
from rampart.models.tabular import TabularModel
from rampart.training.tabular import TabularTraining, fit_tabular
from tests.conftest import labelled

TRAIN, VALIDATION, TEST = labelled(240, 1), labelled(120, 2), labelled(120, 3)
SETTINGS = TabularTraining(rounds=40)


@pytest.fixture(scope="module")
def model() -> TabularModel:
    return fit_tabular(TRAIN, VALIDATION, SETTINGS)


@pytest.fixture
def saved(model: TabularModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "tabular")
    return tmp_path / "tabular"


def test_it_tells_spam_from_ham(model: TabularModel) -> None:
    right = (model.score(TEST.aligned()).logit > 0) == (TEST.labels == 1)
    assert right.mean() > 0.95


def test_the_terms_make_up_the_logit_and_stand_in_the_source(model: TabularModel) -> None:
    texts = [*TEST.aligned()[:30], *map(clean, ["", "\ud800\x00 <p", "Hi\n\n" + "a" * 300])]
    scores = model.score(texts)
    for text, terms, logit in zip(texts, scores.terms or (), scores.logit, strict=True):
        assert terms.of_source
        assert terms.bias + terms.value.sum() == pytest.approx(logit, abs=1e-9)
        assert np.all((terms.start >= 0) & (terms.start < terms.end))
        assert np.all(terms.end <= len(text.source))
    assert any(len(terms.value) for terms in scores.terms or ())
    plain = model.score(texts, explain=False)
    assert plain.terms is None
    assert plain.logit == pytest.approx(scores.logit, abs=1e-9)


def test_a_term_is_shared_by_the_places_of_its_feature() -> None:
    """One tree over one feature: its whole effect lies evenly on what the feature was read from."""
    texts = ["Buy it now! Now!" if number % 2 else "We meet at noon" for number in range(80)]
    labels = np.array([number % 2 for number in range(80)], dtype=np.int8)
    part = Labelled(texts, labels, texts)
    others = tuple(
        name
        for name in fit_tabular(TRAIN, VALIDATION, TabularTraining(rounds=1)).features.columns
        if name != "exclamation_rate"
    )
    model = fit_tabular(part, part, TabularTraining(rounds=5, without=others))
    (terms,) = model.score([clean(texts[1])]).terms or ()
    assert [texts[1][a:b] for a, b in zip(terms.start, terms.end, strict=True)] == ["!", "!"]
    assert terms.value[0] == pytest.approx(terms.value[1])
    assert terms.value[0] > 0


def test_no_texts_get_no_scores(model: TabularModel) -> None:
    assert model.score([]).logit.shape == (0,)


def test_a_seed_fits_the_same_trees_again(model: TabularModel) -> None:
    again = fit_tabular(TRAIN, VALIDATION, SETTINGS)
    assert again.booster.model_to_string() == model.booster.model_to_string()


def test_a_saved_model_is_text_and_scores_as_it_did(model: TabularModel, saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"model.txt", "features.json"}
    loaded = TabularModel.load(saved, threads=1)
    texts: list[AlignedText] = TEST.aligned()
    assert loaded.score(texts).logit == pytest.approx(model.score(texts).logit, abs=1e-12)


def _features(**changed: object) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        file = folder / "features.json"
        document = json.loads(file.read_text(encoding="utf-8")) | changed
        file.write_text(json.dumps(document), encoding="utf-8")

    return damage


def _fewer(folder: Path) -> None:
    columns = json.loads((folder / "features.json").read_text(encoding="utf-8"))["columns"]
    _features(columns=columns[1:])(folder)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no trees": lambda folder: (folder / "model.txt").unlink(),
    "no features": lambda folder: (folder / "features.json").unlink(),
    "other text for trees": lambda folder: (folder / "model.txt").write_text("pickle"),
    "a tree's first line alone": lambda folder: (folder / "model.txt").write_text("tree\n"),
    "bytes for trees": lambda folder: (folder / "model.txt").write_bytes(b"\xff\xfe"),
    "a family that nobody has": _features(families=["os"]),
    "no family": _features(families=[]),
    "more than it should say": _features(code="x"),
    "a column too few": _fewer,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_files_that_are_not_a_model_are_refused(
    damage: Callable[[Path], object], saved: Path
) -> None:
    damage(saved)
    with pytest.raises(BundleError, match="tabular/ cannot be read"):
        TabularModel.load(saved)


def test_what_cannot_be_fitted_is_refused() -> None:
    one = Labelled(["a", "b"], np.ones(2, dtype=np.int8))
    with pytest.raises(TrainingError, match="All 2 training texts have one label"):
        fit_tabular(one, VALIDATION)
    with pytest.raises(TrainingError, match="All 2 validation texts have one label"):
        fit_tabular(TRAIN, one)
    with pytest.raises(TrainingError, match="no features \\['weather'\\]"):
        fit_tabular(TRAIN, VALIDATION, TabularTraining(families=("weather",)))
    with pytest.raises(TrainingError, match="to leave out"):
        fit_tabular(TRAIN, VALIDATION, TabularTraining(without=("weather",)))
