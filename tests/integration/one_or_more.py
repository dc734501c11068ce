"""Trains without dropout, under torchrun or alone, and prints what came of it.

one_or_more.py BASE FOLDER MICRO-BATCH [GRADIENTS [CHECKPOINTS STEP]]

With checkpoints, its last process kills itself once a step's checkpoint is there, unless torchrun
has started it again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from rampart.models.encoder import WindowSettings
from rampart.training.checkpoints import Keep
from rampart.training.encoder import EncoderTraining, fit_network
from rampart.training.memory import MemorySettings
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.ranks import Ranks
from rampart.training.together import Together
from tests.conftest import labelled, sure

defaults = ["", "", "", "float32", "", "0"]
base, folder, micro, gradients, checkpoints, step = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
ranks = Ranks.of_environment()


def die(*_: int) -> None:
    """Where it is time."""
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    last = ranks.rank == ranks.count - 1
    if last and not again and (Path(checkpoints) / f"checkpoint-{step}/sums.json").exists():
        os.kill(os.getpid(), signal.SIGKILL)


torch.manual_seed(0)
network = sure(EncoderNetwork.from_base(base, trained_layers=1))
parts = labelled(96, 96), labelled(48, 48)
settings = EncoderTraining(
    base=base,
    window=WindowSettings(tokens=32, tail=8),
    epochs=3,
    batch_size=16,
    learning_rate=5e-3,
    trained_layers=1,
    memory=MemorySettings(micro_batch=int(micro)),
    together=Together(gradients=gradients),
)
report = fit_network(
    network,
    base_tokenizer(base),
    parts,
    Path(folder),
    settings,
    keep=Keep(Path(checkpoints), every=2) if checkpoints else None,
    on_progress=die if int(step) else None,
)
if ranks.first:
    weights = {name: one.double().norm().item() for name, one in network.named_parameters()}
    paces = [one.model_dump() for one in report.ranks]
    found = {"losses": report.validation_loss, "weights": weights, "ranks": paces}
    sys.stdout.write(json.dumps(found) + "\n")
ranks.leave()
