"""FSDP: each process holds a share of what is trained; a layer is whole while it is computed.

It has a share of the gradients and of what the optimizer keeps, too. Checkpoints hold whole
tensors, as those of an unsharded training do: either goes on from the other's.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from rampart.training.ordered import Ordered
from rampart.training.together import Gradients


class Sharded(Ordered):
    """Trains a sharded copy of its network; the network has the best weights at the end."""

    def share(self, gradients: Gradients) -> None:
        """Shard the trained layers.

        Args:
            gradients: in which precision they are summed up.
        """
        self.whole = self.model  # type: ignore[has-type]
        self.model = self.model_wrapped = deepcopy(self.whole)
        policy = MixedPrecisionPolicy(reduce_dtype=getattr(torch, gradients))
        for layer in self.model.bert.encoder.layer[self.model.cut :]:
            fully_shard(layer, mp_policy=policy)
        frozen = {one for one in self.model.parameters() if not one.requires_grad}
        fully_shard(self.model, mp_policy=policy, ignored_params=frozen)
        # Else accelerate would let DDP hold it.
        self.model._is_accelerate_prepared = True  # noqa: SLF001

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:  # noqa: FBT001, FBT002
        """Put the shares together; the first process writes."""
        state = {name: _whole(part) for name, part in self.model.state_dict().items()}
        if self.args.should_save:
            self._save(output_dir, state_dict=state)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = self.optimizer.state_dict()
        state["state"] = {
            number: {name: _whole(part) for name, part in kept.items()}
            for number, kept in state["state"].items()
        }
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _of_this_process(self, part: Any, state: dict[str, Any]) -> dict[str, Any]:
        if part is not self.optimizer:
            return state
        trained = [one for group in self.optimizer.param_groups for one in group["params"]]
        shares = {
            number: {name: _share(one, trained[number]) for name, one in kept.items()}
            for number, kept in state["state"].items()
        }
        return state | {"state": shares}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ARG002
        found = load_file(Path(resume_from_checkpoint) / SAFE_WEIGHTS_NAME)
        with torch.no_grad():
            for name, part in self.model.state_dict().items():
                part.copy_(_share(found[name], part))

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        self.whole.load_state_dict(load_file(Path(best) / SAFE_WEIGHTS_NAME))


def _whole(part: Any) -> Any:
    """A tensor on the CPU, put together where each process has a share; all of them call it."""
    if isinstance(part, DTensor):
        part = part.full_tensor()
    return part.cpu() if isinstance(part, torch.Tensor) else part


def _share(part: Any, like: Any) -> Any:
    """What this process keeps of a whole tensor, where it is as large as one of which it does."""
    if not isinstance(like, DTensor) or not isinstance(part, torch.Tensor):
        return part
    if part.shape != like.shape:
        return part
    return distribute_tensor(part.to(like.device), like.device_mesh, like.placements)
