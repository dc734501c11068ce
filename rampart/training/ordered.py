"""transformers' Trainer with an order, an evaluation and checkpoints of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from rampart.training.checkpoints import Checkpoints
from rampart.training.frozen import NO_TEXT, FrozenStates, collate
from rampart.training.ranks import Ranks
from rampart.training.together import Gradients

if TYPE_CHECKING:
    from rampart.training.trainer import Steps

_EVALUATED = 64
"""Rows that all processes together evaluate at once."""


class Ordered(Trainer):
    """Trainer with an order, an evaluation and checkpoints of our own."""

    steps: Steps
    ranks: Ranks
    checkpoints: Checkpoints | None

    def share(self, gradients: Gradients) -> None:
        """Nothing of the network: DDP holds all of it in each process."""

    def compute_loss(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        """Trainer's, with the texts counted."""
        self.steps.pace.texts += int((inputs["labels"] != NO_TEXT).sum())
        return super().compute_loss(model, inputs, *given, **named)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Every row once, whichever process has it; Trainer's own repeats some."""
        with self.compute_loss_context_manager():
            loss = _loss(self.model, self.eval_dataset, self.ranks, self.args.device)
        found = {"eval_loss": loss}
        self.log(found)
        told = self.callback_handler.on_evaluate
        self.control = told(self.args, self.state, self.control, found)  # type: ignore[has-type]
        return found

    def compare_trainer_and_checkpoint_args(self, *_: Any) -> None:
        """`Checkpoints` has compared what counts; how many rows are computed at once does not."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002
        return self.steps.order

    def _rotate_checkpoints(self, use_mtime: bool = False, output_dir: str | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        """By their numbers: the times of shared storage are not to be relied on."""
        super()._rotate_checkpoints(use_mtime=False, output_dir=output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Trainer names a CPU by a number where there are several processes; torch knows none."""
        if checkpoint is None:
            return
        for part, file in ((self.optimizer, OPTIMIZER_NAME), (self.lr_scheduler, SCHEDULER_NAME)):
            state = torch.load(Path(checkpoint) / file, map_location="cpu", weights_only=True)
            part.load_state_dict(self._of_this_process(part, state))

    def _of_this_process(self, part: Any, state: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """What this process keeps of a state: all of it."""
        return state

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # How many rows a process takes at once is not the training's, but this run's.
        self.state.train_batch_size = None
        super()._save_checkpoint(model, trial)
        self.ranks.wait()
        if self.checkpoints is not None and self.ranks.first:
            self.checkpoints.seal(self.state.global_step)
        self.ranks.wait()


def _loss(network: Any, rows: FrozenStates, ranks: Ranks, device: Any) -> float:
    """The mean loss over all rows, each process computing its share of them."""
    order = np.argsort([len(row) for row in rows.ids], kind="stable")
    own = order[ranks.rank :: ranks.count]
    network.eval()
    # Of all of them, so that several processes pad their rows no further than one does.
    size = -(-_EVALUATED // ranks.count)
    total = torch.zeros(1, dtype=torch.float64, device=device)
    with torch.no_grad():
        # As many batches as the process with the most rows: a sharded network answers together.
        for begin in range(0, -(-len(order) // ranks.count), size):
            share = own[begin : begin + size]
            batch = collate([rows[int(index)] for index in (share if len(share) else order[:1])])
            placed = {name: part.to(device) for name, part in batch.items()}
            loss = network(**placed, num_items_in_batch=1)["loss"].double()
            if len(share):
                total += loss
    return float(ranks.sum(total)) / len(rows)
