"""From the trained network to the ONNX graph that is served."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rampart.errors import TrainingError
from rampart.models.encoder import (
    ATTRIBUTIONS,
    CONFIG_FILE,
    LEARNED,
    ONNX_FILE,
    TERMS,
    TOKENIZER_FILE,
    EncoderModel,
)
from rampart.training.attribution_head import AttributionHead, load_attribution
from rampart.training.network import EncoderNetwork, own_tokens, served_config

_OPSET = 18
# Rounding in another order moves a logit by about 1e-5.
_TOLERANCE = 1e-3


class Served(nn.Module):
    """The network as it is served: ids to terms, and to what the second head says, if any."""

    def __init__(self, network: EncoderNetwork, head: AttributionHead | None) -> None:
        super().__init__()
        self.network = network
        self.head = head

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it gives."""
        return (TERMS,) if self.head is None else (TERMS, ATTRIBUTIONS)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Terms [texts, tokens], and what the head says of them."""
        states = self.network.states(input_ids, attention_mask)
        terms = self.network.terms_of(states[-1], attention_mask)
        if self.head is None:
            return (terms,)
        return terms, self.head(states, terms, own_tokens(attention_mask))


def export_encoder(trained: Path, folder: Path) -> float:
    """Write model.onnx, tokenizer.json and config.json for the network in `trained`.

    Returns:
        The largest difference between torch's outputs and the graph's, on random batches.

    Raises:
        TrainingError: the network cannot be read, or the graph does not compute what it does.
    """
    network, document = EncoderNetwork.load(trained, attention="eager")
    folder.mkdir(parents=True, exist_ok=True)
    found = load_attribution(trained, network)
    served = Served(network, found[0] if found else None).eval()
    _export(served, folder / ONNX_FILE)
    shutil.copyfile(trained / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
    config = served_config(tokenizer, document.window, network.head.bias.detach()[0].item())
    if found:
        config = config.model_copy(update={"method": LEARNED})
    (folder / CONFIG_FILE).write_text(config.model_dump_json(indent=2), encoding="utf-8")
    difference = _difference(served, EncoderModel.load(folder))
    if difference > _TOLERANCE:
        raise TrainingError(
            f"The exported encoder differs from the trained one by {difference:.2g} in a term.",
            "Report this with the versions of torch and onnxruntime.",
        )
    return difference


def _export(served: Served, path: Path) -> None:
    ids = torch.randint(1000, 2000, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    longest = served.network.bert.config.max_position_embeddings
    axes = {0: torch.export.Dim("texts", max=4096), 1: torch.export.Dim("tokens", max=longest)}
    for name in ("onnxscript", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # The exporter speaks of its own insides on standard output and through warnings.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            (ids, mask),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=list(served.outputs),
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _difference(served: Served, model: EncoderModel) -> float:
    """Largest absolute difference of terms over batches of several shapes."""
    worst = 0.0
    for ids, mask in random_batches(
        model.config.window.tokens, served.network.bert.config.vocab_size
    ):
        with torch.inference_mode():
            expected = served(ids, mask)
        got = model.session.run(
            list(served.outputs), {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        )
        gaps = [np.abs(one.numpy() - two).max() for one, two in zip(expected, got, strict=True)]
        worst = max(worst, float(max(gaps)))
    return worst


def random_batches(window: int, words: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids and masks [texts, tokens] of several shapes, the last text padded."""
    generator = torch.Generator().manual_seed(0)
    for texts, tokens in ((1, 3), (5, window // 2), (3, window)):
        ids = torch.randint(1000, 30000, (texts, tokens), generator=generator) % words
        mask = torch.ones_like(ids)
        mask[-1, max(2, tokens // 2) :] = 0
        yield ids, mask
