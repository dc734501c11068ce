"""Trains without dropout, alone or as one of several processes: one_or_more.py HOW, as JSON.

It prints what came of it. With a step, its last process kills itself once that step's checkpoint is
there, unless torchrun has started it again; with an epoch, as soon as that is evaluated.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from rampart.models.encoder import WindowSettings
from rampart.training.checkpoints import Keep
from rampart.training.encoder import EncoderTraining, fit_network
from rampart.training.memory import MemorySettings
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.ranks import Ranks
from rampart.training.together import Together
from tests.conftest import labelled, sure


@dataclass(frozen=True)
class How:
    """What is trained, and in which way; no checkpoints where no folder is named."""

    base: str
    folder: str
    micro: int = 8
    gradients: Any = "float32"
    sharding: Any = "none"
    optimizer: Any = "adamw"
    checkpoints: str = ""
    step: int = 0
    epoch: int = 0

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def train(how: How) -> dict[str, Any] | None:
    """What came of it, said by the first process."""
    ranks = Ranks.of_environment()

    def die(*_: int) -> None:
        again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        last = ranks.rank == ranks.count - 1
        there = Path(how.checkpoints) / f"checkpoint-{how.step}/sums.json"
        if last and not again and there.exists():
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluated(epoch: int, _: float) -> bool:
        if epoch == how.epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = sure(EncoderNetwork.from_base(how.base, trained_layers=1))
    settings = EncoderTraining(
        base=how.base,
        window=WindowSettings(tokens=32, tail=8),
        epochs=3,
        batch_size=16,
        learning_rate=5e-3,
        trained_layers=1,
        memory=MemorySettings(micro_batch=how.micro, optimizer=how.optimizer),
        together=Together(gradients=how.gradients, sharding=how.sharding),
    )
    report = fit_network(
        network,
        base_tokenizer(how.base),
        (labelled(100, 100), labelled(50, 50)),
        Path(how.folder),
        settings,
        keep=Keep(Path(how.checkpoints), every=2) if how.checkpoints else None,
        on_progress=die if how.step else None,
        on_epoch=evaluated if how.epoch else None,
    )
    ranks.leave()
    if not ranks.first:
        return None
    weights = {name: one.double().norm().item() for name, one in network.named_parameters()}
    paces = [one.model_dump() for one in report.ranks]
    return {"losses": report.validation_loss, "weights": weights, "ranks": paces}


if __name__ == "__main__":
    found = train(How(**json.loads(sys.argv[1])))
    if found is not None:
        sys.stdout.write(json.dumps(found) + "\n")
