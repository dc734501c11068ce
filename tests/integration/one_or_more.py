"""Trains without dropout, under torchrun or alone, and prints what came of it.

one_or_more.py BASE FOLDER MICRO-BATCH
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining, fit_network
from rampart.training.memory import MemorySettings
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.ranks import Ranks
from tests.conftest import labelled, sure

base, folder, micro = sys.argv[1:]
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
)
report = fit_network(network, base_tokenizer(base), parts, Path(folder), settings)
if Ranks.of_environment().first:
    weights = {name: one.double().norm().item() for name, one in network.named_parameters()}
    sys.stdout.write(json.dumps({"losses": report.validation_loss, "weights": weights}) + "\n")
Ranks.of_environment().leave()
