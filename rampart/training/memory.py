"""What training costs in memory, and what can be paid in time instead.

A step of 32 texts need not be computed at once: `micro_batch` texts at a time give the same
gradients, added up. Of those, a layer's activations may be forgotten and computed again when the
gradient comes back (checkpointing), numbers may have 16 bits where the hardware computes in them,
Adafactor keeps a row and a column where Adam keeps two numbers for each weight, and what the frozen
layers gave may lie on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from rampart.errors import TrainingError

Precision = Literal["float32", "bfloat16", "float16", "auto"]
_OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor"}


class MemorySettings(BaseModel):
    """What is done to need less.

    Attributes:
        micro_batch: texts that are computed at once, a divisor of each process's share of a step;
            None for the whole share.
        checkpointing: whether each trained layer's activations are computed a second time.
        precision: of the matrix products; `auto` is 16 bits where the hardware computes in them,
            and float16 is for GPUs.
        optimizer: adamw, or adafactor, which keeps less.
        states: where the frozen layers' outputs lie, in memory or on disk; several processes of
            one machine share them on disk.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    micro_batch: int | None = Field(default=None, ge=1)
    checkpointing: bool = False
    precision: Precision = "float32"
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    states: Literal["memory", "disk"] = "memory"

    def micro(self, share: int) -> int:
        """Texts at once, of a process's share of a step.

        Raises:
            TrainingError: the share is no multiple of them.
        """
        micro = min(self.micro_batch or share, share)
        if share % micro:
            raise TrainingError(
                f"A step of {share} texts cannot be computed {micro} at a time.",
                f"Choose one of {', '.join(map(str, divisors(share)))}.",
            )
        return micro

    def arguments(self, share: int) -> dict[str, Any]:
        """What transformers' Trainer has to be told, for a process's share of a step.

        Raises:
            TrainingError: the share is no multiple of the texts at once, or the hardware does not
                compute in the precision.
        """
        micro = self.micro(share)
        precision = self.computed()
        return {
            "per_device_train_batch_size": micro,
            "gradient_accumulation_steps": share // micro,
            "bf16": precision == "bfloat16",
            "fp16": precision == "float16",
            "optim": _OPTIMIZERS[self.optimizer],
        }

    def computed(self) -> str:
        """The precision by its name, here.

        Raises:
            TrainingError: the hardware does not compute in it.
        """
        gpu = torch.cuda.is_available()
        if self.precision == "auto":
            return "bfloat16" if has_bfloat16() else "float32"
        if self.precision == "float16" and not gpu:
            raise TrainingError(
                "float16 needs a GPU: its gradients are scaled there.", "Choose bfloat16 or auto."
            )
        return self.precision


def divisors(count: int) -> list[int]:
    """Of a number, from the least."""
    return [one for one in range(1, count + 1) if count % one == 0]


def has_bfloat16() -> bool:
    """Whether the hardware multiplies matrices of bfloat16: elsewhere it only costs."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # AVX-512's dot products of bfloat16 alone made training here several times slower.
    return bool(_cpu_flags() & {"amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    named = [line.partition(":") for line in lines]
    return {
        flag
        for name, _, value in named
        if name.strip() in {"flags", "Features"}
        for flag in value.split()
    }


class States:
    """Rows of 16-bit floats, [t, h] each with a t of its own: what the frozen layers gave.

    Args:
        lengths: t of each row.
        width: h.
        file: that they lie in, which several processes may have open; in memory where there is
            none.
    """

    def __init__(self, lengths: NDArray[np.int64], width: int, file: Path | None = None) -> None:
        self._ends = np.cumsum(lengths)
        self._begins = self._ends - lengths
        shape = (int(self._ends[-1]) if len(lengths) else 0, width)
        self._rows: NDArray[np.float16]
        if file is None:
            self._rows = np.zeros(shape, dtype=np.float16)
            return
        # The kernel writes it to disk, and forgets it where memory is short. Whoever comes first
        # makes it; to make it again changes nothing.
        with file.open("ab") as made:
            made.truncate(max(1, shape[0] * width * 2))
        self._rows = np.memmap(file, np.float16, "r+", shape=shape)

    def __setitem__(self, index: int, states: Tensor) -> None:
        self._rows[self._begins[index] : self._ends[index]] = states.numpy()

    def __getitem__(self, index: int) -> Tensor:
        """Of one row, float32 [t, h]."""
        rows = self._rows[self._begins[index] : self._ends[index]]
        return torch.from_numpy(rows.astype(np.float32))
