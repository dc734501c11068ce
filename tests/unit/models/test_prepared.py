"""A graph as this machine computes it gives what the graph gives, and is written once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rampart.bundle.cache import BundleCache, Holding
from rampart.errors import BundleError
from rampart.models import prepared
from rampart.models.encoder import EncoderModel
from tests.conftest import mails, plain


@pytest.fixture
def holding(tmp_path: Path) -> Holding:
    return Holding(BundleCache(tmp_path / "cache"))


def test_it_scores_and_explains_as_the_graph_does(trained_models, holding: Holding) -> None:
    texts = plain(*mails(20)[0])
    folder = trained_models["encoder"]
    usual = EncoderModel.load(folder, threads=1).score(texts)
    for _ in range(2):
        kept = EncoderModel.load(folder, threads=1, keep=holding.keep).score(texts)
        np.testing.assert_allclose(kept.logit, usual.logit, atol=1e-5)
        for one, other in zip(kept.terms, usual.terms, strict=True):
            np.testing.assert_allclose(one.value, other.value, atol=1e-5)


def test_it_is_written_once_with_its_weights_beside_it(
    trained_models, holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = prepared._write
    monkeypatch.setattr(prepared, "_write", lambda *to: (written.append(to), write(*to)))
    for _ in range(2):
        EncoderModel.load(trained_models["encoder"], threads=1, keep=holding.keep)
    [(_, folder)] = written
    assert not folder.exists()  # what was written was moved into its place
    [entry] = holding._cache.entries()
    files = {path.name: path.stat().st_size for path in
             (holding._cache.folder / "derived" / entry.name).iterdir()}  # fmt: skip
    assert files["graph.weights"] > files["graph.onnx"] > 0


def test_another_processor_or_runtime_has_a_graph_of_its_own(
    trained_models, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = trained_models["encoder"] / "model.onnx"
    here = prepared._key(graph)
    assert here == prepared._key(graph)
    monkeypatch.setattr(prepared, "_processor", lambda: "another")
    assert prepared._key(graph) != here


def test_a_folder_that_cannot_hold_it_changes_nothing(trained_models, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    holding = Holding(BundleCache(tmp_path / "file"))
    model = EncoderModel.load(trained_models["encoder"], threads=1, keep=holding.keep)
    assert model.score(plain("Win a free prize")).logit.shape == (1,)


def test_a_broken_graph_is_named_all_the_same(
    trained_models, tmp_path: Path, holding: Holding
) -> None:
    broken = tmp_path / "encoder"
    broken.mkdir()
    for path in trained_models["encoder"].iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="encoder/"):
        EncoderModel.load(broken, keep=holding.keep)
