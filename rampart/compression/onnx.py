"""From the trained network to the ONNX graph that is served."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rampart.errors import TrainingError
from rampart.models.encoder import CONFIG_FILE, ONNX_FILE, TOKENIZER_FILE, EncoderModel
from rampart.training.network import EncoderNetwork, served_config

_OPSET = 18
# Rounding in another order moves a logit by about 1e-5.
_TOLERANCE = 1e-3


class _Served(nn.Module):
    """Token ids to terms: the whole of the network in one call."""

    def __init__(self, network: EncoderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.network.lower(input_ids, attention_mask)
        return self.network.terms(hidden, attention_mask)


def export_encoder(trained: Path, folder: Path) -> float:
    """Write model.onnx, tokenizer.json and config.json for the network in `trained`.

    Returns:
        The largest difference between torch's terms and the graph's, on random batches.

    Raises:
        TrainingError: the network cannot be read, or the graph does not compute what it does.
    """
    network, document = EncoderNetwork.load(trained, attention="eager")
    folder.mkdir(parents=True, exist_ok=True)
    served = _Served(network).eval()
    _export(served, folder / ONNX_FILE)
    shutil.copyfile(trained / TOKENIZER_FILE, folder / TOKENIZER_FILE)
    tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
    config = served_config(tokenizer, document.window, network.head.bias.detach()[0].item())
    (folder / CONFIG_FILE).write_text(config.model_dump_json(indent=2), encoding="utf-8")
    difference = _difference(served, EncoderModel.load(folder))
    if difference > _TOLERANCE:
        raise TrainingError(
            f"The exported encoder differs from the trained one by {difference:.2g} in a term.",
            "Report this with the versions of torch and onnxruntime.",
        )
    return difference


def _export(served: _Served, path: Path) -> None:
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
            output_names=["terms"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _difference(served: _Served, model: EncoderModel) -> float:
    """Largest absolute difference of terms over batches of several shapes."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    window = model.config.window.tokens
    for texts, tokens in ((1, 3), (5, window // 2), (3, window)):
        ids = torch.randint(1000, 30000, (texts, tokens), generator=generator)
        ids %= served.network.bert.config.vocab_size
        mask = torch.ones_like(ids)
        mask[-1, max(2, tokens // 2) :] = 0
        with torch.inference_mode():
            expected = served(ids, mask).numpy()
        (got,) = model.session.run(
            ["terms"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        )
        worst = max(worst, float(np.abs(expected - got).max()))
    return worst
