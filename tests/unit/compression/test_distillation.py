"""A student has fewer layers, learns from all models, and is served as any encoder is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rampart.compression import variants, ways
from rampart.compression.distillation import SETTINGS, distil, soft_labels
from rampart.compression.variants import compare, named
from rampart.compression.ways import Source
from rampart.errors import InputError, TrainingError
from rampart.models.base import sigmoid
from rampart.models.encoder import EncoderModel
from tests.conftest import labelled

TRAIN, VALIDATION = labelled(120, 5), labelled(60, 6)
QUICK = SETTINGS.model_copy(
    update={"batch_size": 16, "learning_rate": 5e-3, "epochs": 6, "patience": 6}
)


@pytest.fixture(scope="module")
def teacher(trained_models: dict[str, Path]) -> Path:
    return trained_models["encoder"].with_name("trained")


@pytest.fixture(scope="module")
def soft(trained_models: dict[str, Path]):
    return soft_labels(trained_models, TRAIN, VALIDATION)


def test_soft_labels_say_how_sure_all_models_are(trained_models: dict[str, Path], soft) -> None:
    first, second = soft
    assert first.shape == (120,)
    assert second.shape == (60,)
    assert ((first > 0) & (first < 1)).all()
    assert np.mean((first > 0.5) == (TRAIN.labels == 1)) > 0.9
    alone, _ = soft_labels({"ngram": trained_models["ngram"]}, TRAIN, VALIDATION)
    assert np.abs(alone - first).max() > 0.01


def test_a_student_of_one_layer_learns_what_it_is_taught_and_not_the_labels(
    teacher: Path, soft, tmp_path: Path
) -> None:
    report = distil(teacher, 1, TRAIN, VALIDATION, soft, tmp_path / "taught", QUICK)
    assert report.texts == 120
    document = json.loads((tmp_path / "taught" / "network" / "network.json").read_text())
    assert document["bert"]["num_hidden_layers"] == 1
    # Taught that nothing is sure, it is sure of nothing, and knows the one from the other.
    unsure = tuple(0.4 + 0.2 * one for one in soft)
    distil(teacher, 1, TRAIN, VALIDATION, unsure, tmp_path / "unsure", QUICK)
    taught, doubting = (
        sigmoid(EncoderModel.load(tmp_path / name).score(VALIDATION.aligned()).logit)
        for name in ("taught", "unsure")
    )
    for probability in (taught, doubting):
        assert roc_auc_score(VALIDATION.labels, probability) > 0.95
    assert np.ptp(taught) > 0.8
    assert np.ptp(doubting) < 0.5


def test_a_student_is_smaller_and_explains_itself(teacher: Path, soft, tmp_path: Path) -> None:
    distil(teacher, 1, TRAIN, VALIDATION, soft, tmp_path, QUICK)
    served = teacher.with_name("encoder")
    assert (tmp_path / "model.onnx").stat().st_size < (served / "model.onnx").stat().st_size
    scores = EncoderModel.load(tmp_path).score(VALIDATION.aligned()[:5])
    assert scores.terms is not None
    for logit, terms in zip(scores.logit, scores.terms, strict=True):
        assert terms.bias + terms.value.sum() == pytest.approx(logit)


def test_as_a_variant_it_is_made_measured_judged_and_quantised(
    teacher: Path, trained_models: dict[str, Path], tmp_path: Path, monkeypatch
) -> None:
    more = {"student-1": ways._student(1), "student-1-int8": ways._small_student(1)}
    monkeypatch.setattr(variants, "VARIANTS", {**variants.VARIANTS, **more})
    source = Source(
        trained_models["encoder"], teacher, TRAIN, 0, {"ngram": trained_models["ngram"]}, VALIDATION
    )
    names = named("student-1,student-1-int8")
    found = compare(source, names, VALIDATION, tmp_path, tolerance=1.0)
    assert [one.name for one in found.variants] == ["float", "student-1", "student-1-int8"]
    whole, student, small = found.variants
    assert small.cost.size < student.cost.size < whole.cost.size
    assert "taught by ngram, encoder on 120 texts" in student.note
    assert "8 bits" in small.note
    assert student.f1 is not None
    assert {path.name for path in (tmp_path / "student-1").iterdir()} == {
        "model.onnx", "tokenizer.json", "config.json",
    }  # fmt: skip


def test_a_student_as_deep_as_its_teacher_or_without_one_is_refused(
    teacher: Path, soft, tmp_path: Path
) -> None:
    for layers in (0, 2):
        with pytest.raises(TrainingError, match="cannot learn from 2"):
            distil(teacher, layers, TRAIN, VALIDATION, soft, tmp_path)
    with pytest.raises(InputError, match="trained network and validation texts"):
        ways.VARIANTS["student-3"](Source(teacher, None, TRAIN), tmp_path)
