"""What a training step keeps in memory from moment to moment, by torch's profiler."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from rampart.drawing import COLOURS, plot
from rampart.models.base import Floats
from rampart.training.encoder import EncoderTraining
from rampart.training.network import EncoderNetwork

# The profiler's columns behind a first one of zeros.
KINDS = (
    "parameters",
    "optimizer",
    "inputs",
    "temporary",
    "activations",
    "gradients",
    "autograd",
    "other",
)
_HATCHES = ("", "//", "..", "xx", "", "\\\\", "++", "oo")


class Timeline(NamedTuple):
    """What one step kept.

    Attributes:
        milliseconds: float64 [t], since the step began; the profiler makes them longer.
        megabytes: float64 [t, 8], of each of `KINDS`.
    """

    milliseconds: Floats
    megabytes: Floats

    def peak(self) -> dict[str, float]:
        """Megabytes of each kind when all of them together were the most."""
        most = self.megabytes[self.megabytes.sum(axis=1).argmax()]
        return dict(zip(KINDS, most.tolist(), strict=True))

    def svg(self, title: str) -> str:
        """The kinds, one above the other."""
        with plot(title, width=8.0) as (axes, svg):
            stacked = axes.stackplot(
                self.milliseconds,
                self.megabytes.T,
                labels=list(KINDS),
                colors=[COLOURS[place % len(COLOURS)] for place in range(len(KINDS))],
            )
            for area, hatch in zip(stacked, _HATCHES, strict=True):
                area.set_hatch(hatch)
            axes.set_xlim(0, float(self.milliseconds[-1]))
            axes.set_xlabel("milliseconds, the profiler's own included")
            axes.set_ylabel("megabytes")
        return svg.getvalue()


def timeline(settings: EncoderTraining) -> Timeline:
    """Make a step on texts as long as the window, a part at a time, and say what it kept."""
    from torch.profiler import ProfilerActivity, profile

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = EncoderNetwork.from_base(settings.base, trained_layers=settings.trained_layers)
    network.checkpointing = settings.memory.checkpointing
    network.to(device).train()
    optimizer = torch.optim.AdamW([one for one in network.parameters() if one.requires_grad])
    micro = settings.memory.micro(settings.batch_size)
    shape = (settings.batch_size, settings.window.tokens)
    # The frozen layers' outputs lie elsewhere: a part's are there while it is computed.
    parts = [micro] * (settings.batch_size // micro)

    def step() -> None:
        for rows in parts:
            hidden = torch.randn(rows, shape[1], network.bert.config.hidden_size, device=device)
            mask = torch.ones(rows, shape[1], device=device)
            labels = torch.zeros(rows, device=device)
            network(hidden, mask, labels, num_items_in_batch=shape[0])["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()

    step()  # the optimizer has its numbers then
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(
        activities=activities, profile_memory=True, record_shapes=True, with_stack=True
    ) as found:
        step()
    with TemporaryDirectory(prefix="rampart-timeline-") as scratch:
        path = Path(scratch) / "timeline.json"
        with warnings.catch_warnings():
            # It is to go without another that knows CPUs and kinds.
            warnings.simplefilter("ignore", FutureWarning)
            found.export_memory_timeline(
                str(path), device=f"{device}:0" if device == "cuda" else device
            )
        times, sizes = json.loads(path.read_text(encoding="utf-8"))
    at = np.asarray(times, dtype=np.float64)
    kept = np.asarray(sizes, dtype=np.float64)[:, 1:] / 1e6
    # What was there before has a time before all others.
    inside = at > 0
    at, kept = at[inside], kept[inside]
    return Timeline((at - at[0]) / 1e3, kept)
