"""From models to a bundle: calibrated, combined, thresholds by false positives, sealed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rampart.bundle.build import Origin, assemble, finish
from rampart.bundle.manifest import CASCADE_FILE
from rampart.bundle.store import read_cascade, verify
from rampart.data.labelled import Labelled
from rampart.ensembles.cascade import CascadeSettings
from rampart.ensembles.voting import fit_soft_voting
from rampart.errors import BundleError, TrainingError
from rampart.models.base import sigmoid
from rampart.models.kinds import KINDS
from tests.conftest import labelled


@pytest.fixture(scope="module")
def validation() -> Labelled:
    return labelled(120, 2)


def test_the_bundle_holds_the_models_as_they_were_given(
    bundle: Path, trained_models: dict[str, Path]
) -> None:
    for name, folder in trained_models.items():
        for file in folder.iterdir():
            assert (bundle / name / file.name).read_bytes() == file.read_bytes()
    manifest = verify(bundle)
    assert [(model.name, model.kind) for model in manifest.models] == [
        ("ngram", "ngram"),
        ("encoder", "encoder"),
    ]
    assert all(model.cost > 0 for model in manifest.models)


def test_thresholds_keep_to_the_false_positive_rate_on_validation(
    trained_models: dict[str, Path], tmp_path: Path, validation: Labelled
) -> None:
    manifest = assemble(tmp_path / "bundle", trained_models, validation, false_positive_rate=0.05)
    texts, labels = validation.aligned(), validation.labels
    logits = {name: KINDS[name].load(tmp_path / "bundle" / name).score(texts).logit
              for name in trained_models}  # fmt: skip
    measured = [
        (model.threshold, model.calibration(logits[model.name])) for model in manifest.models
    ]
    measured.append((manifest.threshold, manifest.ensemble.stages[-1].combine(logits)))
    for threshold, logit in measured:
        flagged = sigmoid(logit)[labels == 0] >= threshold
        assert flagged.mean() <= 0.05 + 1 / flagged.size


def test_a_cascade_is_sealed_with_the_reason_for_it(
    trained_models: dict[str, Path], tmp_path: Path, validation: Labelled
) -> None:
    folder = tmp_path / "bundle"
    asked = CascadeSettings(tolerance=0.2, doubt=0.2)
    manifest = assemble(folder, trained_models, validation, combine=fit_soft_voting, cascade=asked)
    report = read_cascade(folder)
    assert report is not None
    assert report.settings == asked
    assert report.doubt is not None
    assert [stage.name for stage in manifest.ensemble.stages] == ["ngram", "soft voting"]
    assert verify(folder) == manifest
    (folder / CASCADE_FILE).write_text("{}")
    with pytest.raises(BundleError, match=CASCADE_FILE):
        read_cascade(folder)


def test_a_bundle_that_nobody_asked_a_cascade_of_says_nothing_of_one(bundle: Path) -> None:
    assert read_cascade(bundle) is None


def test_the_manifest_says_where_the_bundle_comes_from(
    trained_models: dict[str, Path], tmp_path: Path, validation: Labelled
) -> None:
    origin = Origin(
        source_revision="abc", data_fingerprint="def", labels=("fine", "phishing"),
        parameters={"seed": "1"},
    )  # fmt: skip
    ngram = {"ngram": trained_models["ngram"]}
    manifest = assemble(tmp_path / "bundle", ngram, validation, origin=origin)
    assert verify(tmp_path / "bundle") == manifest
    assert (manifest.source_revision, manifest.data_fingerprint) == ("abc", "def")
    assert manifest.labels == ("fine", "phishing")
    assert manifest.parameters == {"seed": "1"}


def test_a_split_that_cannot_calibrate_leaves_no_bundle(
    trained_models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="both classes"):
        assemble(tmp_path / "b", trained_models, Labelled(["a", "b"], np.zeros(2, dtype=np.int8)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["tabular", "../ngram", "ngram"])
def test_a_model_of_no_known_kind_or_that_is_not_there_is_refused(
    tmp_path: Path, kind: str, validation: Labelled
) -> None:
    with pytest.raises(TrainingError, match=f"no model of the kind {kind}"):
        assemble(tmp_path / "b", {kind: tmp_path / "nowhere"}, validation)
    assert not list(tmp_path.iterdir())


def test_no_models_are_no_bundle(tmp_path: Path, validation: Labelled) -> None:
    with pytest.raises(TrainingError, match="no model to put in a bundle"):
        assemble(tmp_path / "b", {}, validation)


def test_a_finished_bundle_is_the_candidate_with_its_measure(bundle: Path, tmp_path: Path) -> None:
    candidate = verify(bundle)
    manifest = finish(
        bundle,
        tmp_path / "finished",
        metrics={"all": {"f1": 0.9, "brier": None}},
        documents={"card.md": b"# Card"},
    )
    assert verify(tmp_path / "finished") == manifest
    assert manifest.metrics == {"all": {"f1": 0.9, "brier": None}}
    assert (tmp_path / "finished" / "card.md").read_bytes() == b"# Card"
    assert set(manifest.files) - set(candidate.files) == {"card.md"}
    same = {"id", "metrics", "files"}
    assert manifest.model_dump(exclude=same) == candidate.model_dump(exclude=same)


def test_a_broken_candidate_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        finish(tmp_path, tmp_path / "finished", metrics={}, documents={})
    assert not (tmp_path / "finished").exists()
