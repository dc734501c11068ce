"""The second head learns what deleting words does, and is served only where that is better."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rampart.compression.onnx import export_encoder
from rampart.data.cleaning import clean
from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.models.encoder import EncoderModel
from rampart.training import attribution
from rampart.training.attribution import AttributionTraining, fit_attribution
from rampart.training.attribution_head import (
    DOCUMENT_FILE,
    STATE_FILE,
    AttributionHead,
    load_attribution,
)
from rampart.training.deletions import Deletions
from rampart.training.network import EncoderNetwork
from tests.conftest import mails, plain

SETTINGS = AttributionTraining(texts=120, deletions=16, judged=30, epochs=30, learning_rate=2e-3)


def _split(count: int, seed: int) -> Labelled:
    texts, labels = mails(count, seed=seed)
    return Labelled([clean(text).text for text in texts], labels)


TRAIN, VALIDATION = _split(120, 60), _split(60, 61)


@pytest.fixture(scope="module")
def network_folder(
    trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    trained = trained_models["encoder"].parent / "trained"
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("attribution") / "trained"))


@pytest.fixture(scope="module")
def fitted(network_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network with a head that is kept, whatever its worth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attribution, "_better", lambda *_: True)
        fit_attribution(network_folder, TRAIN, VALIDATION, SETTINGS)
    return network_folder


def test_words_are_deleted_as_if_they_had_not_been_sent(network_folder: Path) -> None:
    network, _ = EncoderNetwork.load(network_folder)
    scorer = Deletions.of(network_folder, network)
    text = "Win a free prize today, dear friend"
    pieces = scorer.pieces(text)
    gone = np.zeros((1, len(pieces.units)), dtype=bool)
    gone[0, 2] = True
    shorter = scorer.pieces("Win a prize today, dear friend")
    expected = scorer.logits([scorer.row(shorter.ids)])
    assert scorer.without(pieces, gone) == pytest.approx(expected, abs=1e-5)


def test_the_head_tells_better_than_the_plain_terms_what_deletions_do(fitted: Path) -> None:
    network, _ = EncoderNetwork.load(fitted)
    found = load_attribution(fitted, network)
    assert found is not None
    head, report = found
    assert report.texts > 0
    assert report.judged > 0
    scorer, draw = Deletions.of(fitted, network), np.random.default_rng(5)
    wrong = np.zeros(2)
    for text in _split(40, 62).texts:
        pieces = scorer.pieces(text)
        example = attribution._example(scorer, head, pieces, 12, draw)
        states, terms = scorer.states(pieces)
        with torch.inference_mode():
            values = attribution._values(head, states, terms)
        for at, one in enumerate((terms, values)):
            wrong[at] += float((example.gone @ one - example.lost).abs().mean())
    assert wrong[1] < 0.95 * wrong[0]  # an unfitted head gives the plain terms


def test_the_served_graph_gives_the_heads_values_and_the_same_logit(
    fitted: Path, trained_models: dict[str, Path], tmp_path: Path
) -> None:
    assert export_encoder(fitted, tmp_path) < 1e-3
    learned = EncoderModel.load(tmp_path, threads=1)
    usual = EncoderModel.load(trained_models["encoder"], threads=1)
    assert (learned.config.method, usual.config.method) == ("learned", "terms")
    texts = plain(*mails(12, seed=63)[0], "", "Win")
    got, expected = learned.score(texts), usual.score(texts)
    assert got.logit == pytest.approx(expected.logit, abs=1e-4)
    assert learned.score(texts, explain=False).logit == pytest.approx(got.logit, abs=1e-6)
    differing = 0
    for logit, terms, other in zip(got.logit, got.terms or (), expected.terms or (), strict=True):
        assert terms.bias + terms.value.sum() == pytest.approx(logit, abs=1e-6)
        assert terms.start.tolist() == other.start.tolist()
        differing += not np.allclose(terms.value, other.value, atol=1e-4)
    assert differing > 0


def test_a_head_that_is_no_better_is_not_written(
    network_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(network_folder, tmp_path / "trained"))
    for name in (STATE_FILE, DOCUMENT_FILE):
        (folder / name).unlink(missing_ok=True)

    def spoil(head: AttributionHead, *_: object) -> None:
        torch.nn.init.normal_(head.outer.weight, std=50.0)
        head.eval()

    monkeypatch.setattr(attribution, "_fit", spoil)
    report = fit_attribution(folder, TRAIN, VALIDATION, SETTINGS)
    assert not report.kept
    assert min(np.subtract(report.plain, report.learned)) > 0
    network, _ = EncoderNetwork.load(folder)
    assert load_attribution(folder, network) is None


def test_a_seed_gives_the_same_head_again(network_folder: Path, tmp_path: Path) -> None:
    quick = SETTINGS.model_copy(update={"texts": 40, "deletions": 4, "epochs": 2})
    folders = [Path(shutil.copytree(network_folder, tmp_path / name)) for name in ("one", "again")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attribution, "_better", lambda *_: True)
        for folder in folders:
            fit_attribution(folder, TRAIN, VALIDATION, quick)
            torch.rand(3)  # whatever was drawn before
    for name in (STATE_FILE, DOCUMENT_FILE):
        first, again = ((folder / name).read_bytes() for folder in folders)
        assert first == again


def test_texts_without_two_words_cannot_be_taken_apart(network_folder: Path) -> None:
    nothing = Labelled(["", "x"] * 10, np.array([0, 1] * 10, dtype=np.int8))
    with pytest.raises(TrainingError, match="two words"):
        fit_attribution(network_folder, nothing, nothing, SETTINGS)


def test_a_broken_head_is_named(fitted: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(fitted, tmp_path / "trained"))
    (folder / STATE_FILE).write_bytes(b"no tensors")
    network, _ = EncoderNetwork.load(folder)
    with pytest.raises(TrainingError, match="attribution head"):
        load_attribution(folder, network)
