"""The trained encoder as TorchScript: what serves where torch is, and the graph's yardstick."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import torch

from rampart.compression.costs import TORCHSCRIPT_FILE
from rampart.compression.onnx import Served, random_batches
from rampart.errors import TrainingError
from rampart.models.encoder import CONFIG_FILE, TOKENIZER_FILE
from rampart.training.attribution_head import load_attribution
from rampart.training.network import EncoderNetwork

_TOLERANCE = 1e-3


def export_torchscript(trained: Path, served: Path, folder: Path) -> float:
    """Write model.pt, traced, frozen and optimised, beside the served tokenizer and config.

    Args:
        trained: folder of the trained network.
        served: folder of its ONNX graph, for what goes with it.
        folder: gets the files; made where it is not there.

    Returns:
        The largest difference between the network's outputs and the script's, on random batches.

    Raises:
        TrainingError: the network cannot be read, or the script does not compute what it does.
    """
    network, document = EncoderNetwork.load(trained, attention="eager")
    found = load_attribution(trained, network)
    module = Served(network, found[0] if found else None).eval()
    folder.mkdir(parents=True, exist_ok=True)
    ids = torch.randint(1000, 2000, (2, 16)) % network.bert.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    for name in (TOKENIZER_FILE, CONFIG_FILE):
        shutil.copyfile(served / name, folder / name)
    worst = 0.0
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracer warns of every comparison of shapes, and torch of TorchScript's age.
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(module, (ids, mask), check_trace=False))
        torch.jit.save(torch.jit.optimize_for_inference(traced), str(folder / TORCHSCRIPT_FILE))
        again = torch.jit.load(str(folder / TORCHSCRIPT_FILE))
        for some, own in random_batches(document.window.tokens, network.bert.config.vocab_size):
            gaps = [
                np.abs(one.numpy() - two.numpy()).max()
                for one, two in zip(module(some, own), again(some, own), strict=True)
            ]
            worst = max(worst, float(max(gaps)))
    if worst > _TOLERANCE:
        raise TrainingError(
            f"The script differs from the trained encoder by {worst:.2g} in a term.",
            "Report this with the version of torch.",
        )
    return worst
