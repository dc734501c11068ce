"""Nearness to classes and campaigns, by the real packaged weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rampart.errors import BundleError, TrainingError
from rampart.features.semantic import CENTROIDS_FILE, SemanticFeatures

THREATS = [
    "You have won a lottery prize, claim your money now",
    "Your prize of one million dollars is waiting for you",
    "Verify your bank account or it will be closed",
    "Your account is suspended, confirm your password",
]
HARMLESS = [
    "The meeting has moved to Thursday at three",
    "Could you review my patch for the parser",
    "Lunch tomorrow at the usual place?",
    "The minutes of the last meeting are attached",
]
LABELS = np.array([1] * 4 + [0] * 4)
CAMPAIGNS = ["lottery", "lottery", "bank", "bank", "a", "b", "c", "d"]


@pytest.fixture(scope="module")
def fitted() -> SemanticFeatures:
    return SemanticFeatures(campaigns=2).fit(THREATS + HARMLESS, LABELS, CAMPAIGNS)


def test_a_paraphrase_lies_nearer_to_its_class_and_to_its_campaign(
    fitted: SemanticFeatures,
) -> None:
    rows = fitted.transform(
        ["Congratulations, a fortune in cash is yours to collect", "Can we meet on Friday instead?"]
    )
    names = list(fitted.get_feature_names_out())
    threat, lean, campaign = (
        names.index(name) for name in ("threat_nearness", "threat_lean", "campaign_nearness")
    )
    assert rows[0, threat] > rows[1, threat]
    assert rows[0, lean] > 0 > rows[1, lean]
    assert rows[0, campaign] > rows[1, campaign]


def test_embeddings_have_length_one(fitted: SemanticFeatures) -> None:
    embedded = fitted.embed(["a text", "", "\U0001f600"])
    assert embedded.dtype == np.float32
    assert np.linalg.norm(embedded, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert fitted.embed([]).shape == (0, embedded.shape[1])


def test_what_is_saved_is_read_again_without_pickle(
    fitted: SemanticFeatures, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = SemanticFeatures.load(tmp_path)
    assert again.get_params() == fitted.get_params()
    assert again.transform(THREATS) == pytest.approx(fitted.transform(THREATS))
    np.savez(tmp_path / CENTROIDS_FILE, classes=np.array([{}], dtype=object))
    with pytest.raises(BundleError, match="cannot be read"):
        SemanticFeatures.load(tmp_path)


def test_it_has_to_be_fitted_on_both_classes() -> None:
    with pytest.raises(TrainingError, match="both classes"):
        SemanticFeatures().fit(THREATS, np.ones(4))
    with pytest.raises(TrainingError, match="fit first"):
        SemanticFeatures().transform(["a"])
