"""How processes that train one network together pass on its gradients.

Every process holds the whole network (DDP), and a hook averages its gradients, in full or in fewer
bits; or each holds a share of it (FSDP, sharded.py).
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict, model_validator

from rampart.training.pace import Pace

Gradients = Literal["float32", "float16", "bfloat16", "powersgd"]
Sharding = Literal["none", "fsdp"]
# PowerSGD keeps to plain averages while gradients still change much.
_PLAIN_STEPS = 10


class Together(BaseModel):
    """What several processes do; one alone does none of it.

    Attributes:
        gradients: how they are passed on: as they are, in 16 bits, or by PowerSGD as products of
            thin matrices, with what was left out added to the next step's.
        sharding: whether each process holds all of the trained layers, their gradients and the
            optimizer's numbers, or its share of them (FSDP).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gradients: Gradients = "float32"
    sharding: Sharding = "none"

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.sharding == "fsdp" and self.gradients == "powersgd":
            raise ValueError("powersgd needs whole gradients; choose bfloat16, or sharding none")
        return self


def pass_on(network: Any, gradients: Gradients, pace: Pace) -> None:
    """Let a network wrapped by DDP pass its gradients on so, and the pace know of it."""
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

    if gradients == "powersgd":
        state: Any = powerSGD_hook.PowerSGDState(
            None, matrix_approximation_rank=4, start_powerSGD_iter=_PLAIN_STEPS
        )
        hook: Any = powerSGD_hook.powerSGD_hook
    else:
        hooks = {
            "float32": default_hooks.allreduce_hook,
            "float16": default_hooks.fp16_compress_hook,
            "bfloat16": default_hooks.bf16_compress_hook,
        }
        state, hook = dist.group.WORLD, hooks[gradients]

    def timed(given: Any, bucket: Any) -> Any:
        pace.ready()
        return hook(given, bucket)

    # DDP compares the hook's annotations with torch's own types.
    timed.__annotations__ = {
        "bucket": dist.GradBucket,
        "return": torch.futures.Future[torch.Tensor],
    }
    network.register_comm_hook(state, timed)
