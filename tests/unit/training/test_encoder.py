"""Fine-tuning: the layers that were chosen, the same network from the same seed, no overrun."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rampart.data.cleaning import clean
from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining, train_encoder
from tests.conftest import mails

State = dict[str, torch.Tensor]


def _split(count: int, seed: int) -> Labelled:
    texts, labels = mails(count, seed=seed)
    return Labelled([clean(text).text for text in texts], labels)


TRAIN, VALIDATION = _split(90, 40), _split(45, 41)


def _settings(base: Path, **changed: object) -> EncoderTraining:
    chosen: dict[str, object] = {
        "base": str(base),
        "window": WindowSettings(tokens=32, tail=8),
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "trained_layers": 1,
    }
    return EncoderTraining.model_validate(chosen | changed)


def _state(folder: Path) -> State:
    return load_file(folder / "model.safetensors")


def _same(one: State, other: State) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def trained(base_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_encoder(TRAIN, VALIDATION, folder, _settings(base_encoder))
    return folder


@pytest.mark.parametrize("trained_layers", [1, 2])
def test_frozen_weights_stay_as_they_were_and_the_others_do_not(
    base_encoder: Path, tmp_path: Path, trained_layers: int
) -> None:
    settings = _settings(base_encoder, trained_layers=trained_layers)
    train_encoder(TRAIN, VALIDATION, tmp_path, settings)
    before, after = _state(base_encoder), _state(tmp_path)
    for name, weight in before.items():
        layer = int(name.split(".")[2]) if name.startswith("encoder.layer.") else -1
        # A key's bias moves no attention, so nothing moves it.
        if "key.bias" not in name:
            assert torch.equal(weight, after[f"bert.{name}"]) == (layer < 2 - trained_layers), name


def test_a_seed_gives_the_same_network_again(
    base_encoder: Path, tmp_path: Path, trained: Path
) -> None:
    torch.rand(3)  # whatever was drawn before
    train_encoder(TRAIN, VALIDATION, tmp_path, _settings(base_encoder))
    assert _same(_state(tmp_path), _state(trained))


def test_another_seed_gives_another_network(
    base_encoder: Path, tmp_path: Path, trained: Path
) -> None:
    train_encoder(TRAIN, VALIDATION, tmp_path, _settings(base_encoder, seed=1))
    assert not _same(_state(tmp_path), _state(trained))


def test_training_stops_when_validation_gets_worse_and_keeps_the_best(
    base_encoder: Path, tmp_path: Path
) -> None:
    # Every label of the validation texts is wrong: the more is learned, the worse.
    wrong = Labelled(VALIDATION.texts, 1 - VALIDATION.labels)
    settings = _settings(base_encoder, epochs=8, patience=2)
    report = train_encoder(TRAIN, wrong, tmp_path / "stopped", settings)
    losses = report.validation_loss
    assert len(losses) == report.epochs == np.argmin(losses) + 1 + settings.patience < 8
    # The network that is written is the one of the least loss.
    settings = _settings(base_encoder, epochs=8, patience=8)
    whole = train_encoder(TRAIN, wrong, tmp_path / "whole", settings)
    assert whole.validation_loss[: len(losses)] == losses
    assert _same(_state(tmp_path / "stopped"), _state(tmp_path / "whole"))


def test_what_is_reported_is_what_was_done(base_encoder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = train_encoder(
        TRAIN,
        VALIDATION,
        tmp_path,
        _settings(base_encoder, sample=30),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert report.texts == 30
    assert len(report.validation_loss) == report.epochs == 1
    done = [step for step, _ in told]
    assert done == sorted(done)
    assert {total for _, total in told} == {3 * (30 + 10)}
    assert done[-1] == 3 * (30 + 10)


def test_the_folder_holds_the_network_and_how_texts_are_cut_for_it(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {"model.safetensors", "network.json", "tokenizer.json"}
    document = json.loads((trained / "network.json").read_text(encoding="utf-8"))
    assert document["window"]["tokens"] == 32


def test_texts_without_a_token_do_not_stop_it(base_encoder: Path, tmp_path: Path) -> None:
    empty = Labelled(["", " ", *TRAIN.texts[:14]], np.array([1, 0] * 8, dtype=np.int8))
    report = train_encoder(empty, empty, tmp_path, _settings(base_encoder))
    assert np.isfinite(report.validation_loss).all()


@pytest.mark.parametrize("which", ["training", "validation"])
def test_a_split_of_one_class_is_refused(base_encoder: Path, tmp_path: Path, which: str) -> None:
    one = Labelled(["a", "b"], np.ones(2, dtype=np.int8))
    train, validation = (one, VALIDATION) if which == "training" else (TRAIN, one)
    with pytest.raises(TrainingError, match=f"The 2 {which} texts have one label"):
        train_encoder(train, validation, tmp_path, _settings(base_encoder))


def test_a_window_beyond_what_the_base_reads_is_refused(base_encoder: Path, tmp_path: Path) -> None:
    settings = _settings(base_encoder, window=WindowSettings(tokens=65))
    with pytest.raises(TrainingError, match="Choose at most 64"):
        train_encoder(TRAIN, VALIDATION, tmp_path, settings)


def test_a_base_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere cannot be read"):
        train_encoder(TRAIN, VALIDATION, tmp_path, _settings(tmp_path / "nowhere"))
    assert not list(tmp_path.iterdir())


def test_a_base_without_a_fast_tokenizer_is_refused(base_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(base_encoder, tmp_path / "base")
    (tmp_path / "base" / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"no tokenizer\.json"):
        train_encoder(TRAIN, VALIDATION, tmp_path / "out", _settings(tmp_path / "base"))
