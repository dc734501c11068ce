"""The served graph computes what the trained network computes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rampart.compression import onnx
from rampart.compression.onnx import export_encoder
from rampart.errors import TrainingError
from rampart.models.encoder import EncoderModel
from rampart.training.network import EncoderNetwork
from tests.conftest import mails, plain


@pytest.fixture(scope="module")
def trained(trained_models: dict[str, Path]) -> Path:
    return trained_models["encoder"].parent / "trained"


def test_the_served_encoder_gives_the_networks_logits(
    trained: Path, trained_models: dict[str, Path]
) -> None:
    model = EncoderModel.load(trained_models["encoder"], threads=1)
    network, document = EncoderNetwork.load(trained)
    assert model.config.window == document.window
    texts = ["", "Win", *mails(12, seed=30)[0]]
    room = document.window.tokens - 2
    expected = []
    for text in texts:
        ids = model.tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) > room:
            ids = ids[: room - document.window.tail] + ids[-document.window.tail :]
        row = torch.tensor([[model.config.cls_id, *ids, model.config.sep_id]])
        with torch.inference_mode():
            mask = torch.ones_like(row)
            expected.append(network(network.lower(row, mask), mask)["logits"].item())
    assert model.score(plain(*texts)).logit == pytest.approx(expected, abs=1e-4)


def test_the_folder_holds_the_graph_its_tokenizer_and_its_config_and_no_weights_beside(
    trained_models: dict[str, Path],
) -> None:
    names = {path.name for path in trained_models["encoder"].iterdir()}
    assert names == {"model.onnx", "tokenizer.json", "config.json"}


def test_a_graph_that_computes_something_else_is_refused(
    trained: Path, trained_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(trained, tmp_path / "trained"))
    state = load_file(other / "model.safetensors")
    save_file(state | {"head.weight": state["head.weight"] * 2}, other / "model.safetensors")
    graph = trained_models["encoder"] / "model.onnx"
    monkeypatch.setattr(onnx, "_export", lambda served, path: shutil.copyfile(graph, path))
    with pytest.raises(TrainingError, match="differs from the trained one"):
        export_encoder(other, tmp_path / "encoder")


def test_the_difference_that_remains_is_told(trained: Path, tmp_path: Path) -> None:
    difference = export_encoder(trained, tmp_path / "encoder")
    assert 0 <= difference < 1e-4
    assert np.isfinite(difference)


def test_a_network_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        export_encoder(tmp_path, tmp_path / "encoder")
