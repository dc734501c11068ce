"""Integrated gradients sum to what the encoder's logit has over padding, in words as sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from rampart.data.cleaning import clean
from rampart.errors import InputError
from rampart.explain.attribution import words
from rampart.explain.gradients import integrated_gradients
from rampart.models.encoder import EncoderConfig, WindowSettings
from rampart.training.network import EncoderNetwork, base_tokenizer, served_config

TEXT = "<p>free pri<b></b>ze &amp; \U0001f600\r\nmoney now</p>"


@pytest.fixture(scope="module")
def network(base_encoder: Path) -> EncoderNetwork:
    torch.manual_seed(0)
    network = EncoderNetwork.from_base(str(base_encoder), trained_layers=2)
    # A head that makes the logit large against rounding.
    torch.nn.init.normal_(network.head.weight, std=1.0)
    return network.eval()


@pytest.fixture(scope="module")
def tokenizer(base_encoder: Path) -> Any:
    tokenizer = Tokenizer.from_str(base_tokenizer(str(base_encoder)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def config(base_encoder: Path) -> EncoderConfig:
    window = WindowSettings(tokens=48, tail=12)
    return served_config(base_tokenizer(str(base_encoder)), window, 0.0)


def _logit(network: EncoderNetwork, config: EncoderConfig, ids: list[int]) -> float:
    row = torch.tensor([[config.cls_id, *ids, config.sep_id]])
    mask = torch.ones_like(row)
    with torch.inference_mode():
        return network(network.lower(row, mask), mask)["logits"].item()


def test_its_values_sum_to_the_logit_less_that_of_padding(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    ids = tokenizer.encode(clean(TEXT).text, add_special_tokens=False).ids
    found = integrated_gradients(network, tokenizer, config, TEXT, steps=64)
    assert found.logit == pytest.approx(_logit(network, config, ids), abs=1e-4)
    assert found.base == pytest.approx(
        _logit(network, config, [config.pad_id] * len(ids)), abs=1e-4
    )
    gap = abs(found.logit - found.base)
    assert gap > 0.01
    assert abs(found.unexplained) < 0.02 * gap
    assert (found.method, found.calls, found.complete) == ("integrated gradients", 66, True)


def test_more_steps_miss_less_of_the_sum(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    missed = [
        abs(integrated_gradients(network, tokenizer, config, TEXT, steps=steps).unexplained)
        for steps in (2, 32)
    ]
    assert missed[1] < 0.01 * missed[0]


def test_its_spans_are_words_of_the_text_as_sent(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    found = integrated_gradients(network, tokenizer, config, TEXT)
    found.check(TEXT)
    spans = list(zip(found.start.tolist(), found.end.tolist(), strict=True))
    assert set(spans) <= set(words(TEXT))
    assert "pri<b></b>ze" in {TEXT[a:b] for a, b in spans}


def test_of_a_long_text_only_what_is_read_is_worth_anything(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    text = "free money now " * 40
    found = integrated_gradients(network, tokenizer, config, text, steps=4)
    ids = tokenizer.encode(clean(text).text, add_special_tokens=False).ids
    read = [*ids[:34], *ids[-12:]]
    assert found.logit == pytest.approx(_logit(network, config, read), abs=1e-4)
    assert 0 < len(found) <= 46
    assert found.end.max() > len(text) - 10


def test_windows_within_count_by_their_share(network: EncoderNetwork, tokenizer: Any) -> None:
    text = "free money now " * 20
    window = WindowSettings(tokens=16, tail=4, inner=2, inner_share=0.4)
    config = EncoderConfig(window=window, cls_id=2, sep_id=3, pad_id=0, bias=0.0)
    found = integrated_gradients(network, tokenizer, config, text, steps=32)
    assert abs(found.unexplained) < 0.05 * max(0.05, abs(found.logit - found.base))
    assert found.calls == 3 * 34


def test_it_gives_the_same_again_and_leaves_no_gradient_behind(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    first = integrated_gradients(network, tokenizer, config, TEXT)
    again = integrated_gradients(network, tokenizer, config, TEXT)
    assert first.value.tolist() == again.value.tolist()
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("text", ["", " \r\n", "\x00\ud800\u202e", "<p></p>"])
def test_a_text_without_words_is_all_base(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig, text: str
) -> None:
    found = integrated_gradients(network, tokenizer, config, text)
    assert len(found) == 0
    assert found.logit == pytest.approx(found.base)
    assert np.isfinite(found.base)


def test_no_steps_are_refused(
    network: EncoderNetwork, tokenizer: Any, config: EncoderConfig
) -> None:
    with pytest.raises(InputError, match="0 steps lead nowhere"):
        integrated_gradients(network, tokenizer, config, TEXT, steps=0)


def test_a_network_that_hides_its_embeddings_is_refused(
    base_encoder: Path, tokenizer: Any, config: EncoderConfig
) -> None:
    frozen = EncoderNetwork.from_base(str(base_encoder), trained_layers=1).eval()
    with pytest.raises(InputError, match="runs 1 layers"):
        integrated_gradients(frozen, tokenizer, config, TEXT)
