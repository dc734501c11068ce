"""Less memory, the same training: parts of a step add up to it, whatever else is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import TrainingError
from rampart.models.encoder import WindowSettings
from rampart.training import probe
from rampart.training.encoder import EncoderTraining, fit_network, train_encoder
from rampart.training.frozen import FrozenStates
from rampart.training.memory import MemorySettings, States, has_bfloat16
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.probe import free_memory, largest_micro_batch
from tests.conftest import labelled, sure


@pytest.fixture(scope="module")
def network(base_encoder: Path) -> EncoderNetwork:
    torch.manual_seed(0)
    return sure(EncoderNetwork.from_base(str(base_encoder), trained_layers=2))


def _batch(network: EncoderNetwork, count: int = 13) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(count)
    width = network.bert.config.hidden_size
    mask = torch.ones(count, 20)
    for row, length in enumerate(torch.randint(3, 20, (count,), generator=draw).tolist()):
        mask[row, length:] = 0
    return {
        "hidden": torch.randn(count, 20, width, generator=draw),
        "attention_mask": mask,
        "labels": torch.randint(0, 2, (count,), generator=draw).float(),
        "weights": torch.rand(count, generator=draw) + 0.5,
    }


def _gradients(
    network: EncoderNetwork, batch: dict[str, torch.Tensor], sizes: list[int]
) -> dict[str, torch.Tensor]:
    network.zero_grad(set_to_none=True)
    count = len(batch["labels"])
    begin = 0
    for size in sizes:
        part = {name: rows[begin : begin + size] for name, rows in batch.items()}
        network(**part, num_items_in_batch=count)["loss"].backward()
        begin += size
    assert begin == count
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_parts_of_a_step_have_its_gradients_however_uneven_they_are(
    network: EncoderNetwork, sizes: list[int]
) -> None:
    batch = _batch(network, sum(sizes))
    whole = _gradients(network, batch, [sum(sizes)])
    parts = _gradients(network, batch, sizes)
    assert whole.keys() == parts.keys()
    for name, one in whole.items():
        torch.testing.assert_close(parts[name], one, rtol=1e-5, atol=1e-6)


def test_a_step_that_is_no_part_of_another_is_its_own_mean(network: EncoderNetwork) -> None:
    batch = _batch(network)
    alone = network(**batch)["loss"]
    torch.testing.assert_close(alone, network(**batch, num_items_in_batch=13)["loss"])


def test_checkpointing_keeps_less_and_has_the_same_gradients(network: EncoderNetwork) -> None:
    batch = _batch(network)
    gradients, kept = {}, {}
    for on in (False, True):
        network.checkpointing = on
        gradients[on] = _gradients(network, batch, [13])
        saved: dict[int, int] = {}

        def note(tensor: torch.Tensor, saved: dict[int, int] = saved) -> torch.Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(**batch)["loss"]
        kept[on] = sum(saved.values())
    network.checkpointing = False
    for name, one in gradients[False].items():
        torch.testing.assert_close(gradients[True][name], one, rtol=1e-5, atol=1e-6)
    assert kept[True] < kept[False] / 2


def test_states_in_a_file_are_those_in_memory_whoever_wrote_them(tmp_path: Path) -> None:
    lengths = np.array([3, 1, 5])
    rows = [torch.randn(length, 4).to(torch.float16) for length in lengths]
    file = tmp_path / "states"
    alone, one, other = States(lengths, 4), States(lengths, 4, file), States(lengths, 4, file)
    for index, row in enumerate(rows):
        alone[index] = row
        (one if index % 2 else other)[index] = row
    for index, row in enumerate(rows):
        for states in (alone, one, other):
            torch.testing.assert_close(states[index], row.float())


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (MemorySettings(micro_batch=5), "Choose one of 1, 2, 4, 8, 16, 32"),
        pytest.param(
            MemorySettings(precision="float16"),
            "needs a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_computed(
    memory: MemorySettings, words: str, base_encoder: Path, tmp_path: Path
) -> None:
    training = EncoderTraining(base=str(base_encoder), memory=memory)
    network = EncoderNetwork.from_base(str(base_encoder), trained_layers=1)

    def nothing(*_: object, **__: object) -> None:
        raise AssertionError("the frozen layers ran")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrozenStates, "fill", nothing)
        with pytest.raises(TrainingError, match=words):
            fit_network(
                network,
                base_tokenizer(str(base_encoder)),
                (labelled(64, 64), labelled(40, 40)),
                tmp_path,
                training,
            )


def test_a_part_is_no_larger_than_the_share() -> None:
    assert MemorySettings(micro_batch=64).micro(16) == 16
    assert MemorySettings(micro_batch=4).arguments(16)["gradient_accumulation_steps"] == 4


def test_auto_is_sixteen_bits_where_the_hardware_has_them() -> None:
    expected = "bfloat16" if has_bfloat16() else "float32"
    assert MemorySettings(precision="auto").computed() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "memory",
    [
        {"micro_batch": 4},
        {"micro_batch": 8, "checkpointing": True, "states": "disk"},
        {"optimizer": "adafactor"},
    ],
    ids=str,
)
def test_training_with_less_memory_comes_to_the_same(
    base_encoder: Path, tmp_path: Path, memory: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = EncoderNetwork.from_base.__func__  # type: ignore[attr-defined]
    steady = classmethod(lambda cls, *words, **named: sure(real(cls, *words, **named)))
    monkeypatch.setattr(EncoderNetwork, "from_base", steady)
    # The last step of an epoch has 6 texts of 16.
    train, validation = labelled(70, 70), labelled(40, 40)

    def losses(**changed: object) -> list[float]:
        chosen = EncoderTraining(
            base=str(base_encoder),
            window=WindowSettings(tokens=32, tail=8),
            epochs=2,
            batch_size=16,
            learning_rate=5e-3,
            trained_layers=1,
            memory=MemorySettings.model_validate(changed),
        )
        return train_encoder(train, validation, tmp_path / "network", chosen).validation_loss

    whole, less = losses(), losses(**memory)
    close = 1e-3 if "optimizer" not in memory else 0.2
    assert less == pytest.approx(whole, abs=close)


@pytest.mark.slow
def test_as_many_texts_as_fit_are_found_by_trying(base_encoder: Path) -> None:
    wide = EncoderTraining(
        base=str(base_encoder), window=WindowSettings(tokens=64, tail=8), trained_layers=2
    )
    told: list[tuple[int, int | None]] = []
    found = largest_micro_batch(wide, 4, tell=lambda *one: told.append(one))
    assert found.micro_batch == 4
    assert list(found.tried) == [2, 4]
    assert told == list(found.tried.items())


def test_where_not_even_one_fits_that_is_said(base_encoder: Path) -> None:
    wide = EncoderTraining(
        base=str(base_encoder), window=WindowSettings(tokens=64, tail=8), trained_layers=2
    )
    with pytest.raises(TrainingError, match="Not even one text of 64 tokens"):
        largest_micro_batch(wide, 1, limit=1000)


@pytest.mark.skipif(torch.cuda.is_available(), reason="float16 can be tried")
def test_a_try_that_fails_for_another_reason_says_so(base_encoder: Path) -> None:
    wrong = EncoderTraining(
        base=str(base_encoder),
        window=WindowSettings(tokens=64, tail=8),
        memory=MemorySettings(precision="float16"),
    )
    with pytest.raises(TrainingError, match=r"A step of \d+ texts failed: .*float16 needs a GPU"):
        largest_micro_batch(wrong, 4)


def test_a_try_that_takes_too_long_is_of_too_many_texts(
    base_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_SECONDS", 0.01)
    small = EncoderTraining(base=str(base_encoder), window=WindowSettings(tokens=64, tail=8))
    with pytest.raises(TrainingError, match="Not even one text"):
        largest_micro_batch(small, 4)


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_free_is_what_the_control_group_leaves(tmp_path: Path, version: int) -> None:
    names = {
        1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
        2: ("memory.max", "memory.current"),
    }[version]
    (tmp_path / "memory").mkdir()
    for name, value in zip(names, ("3000", "1000"), strict=True):
        (tmp_path / name).write_text(value)
    assert free_memory(tmp_path) == 2000
    # What was read from disk is given up when it is asked for.
    stat, kind = {
        1: ("memory/memory.stat", "total_inactive_file"),
        2: ("memory.stat", "inactive_file"),
    }[version]
    (tmp_path / stat).write_text(f"anon 100\n{kind} 700\n")
    assert free_memory(tmp_path) == 2700
    (tmp_path / names[0]).write_text("max")
    assert free_memory(tmp_path) > 10_000
