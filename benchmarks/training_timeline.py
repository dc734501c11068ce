"""What a training step keeps in memory, kind by kind: `make benchmark-training-timeline`.

For each way to save memory, one step of the encoder is profiled: what its parameters, activations,
gradients and the optimizer take when all together are the most, and a picture of the whole step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining
from rampart.training.memory import MemorySettings
from rampart.training.timeline import KINDS, timeline

_WAYS: dict[str, dict[str, Any]] = {
    "a step at once": {},
    "8 texts at once": {"micro_batch": 8},
    "checkpointing": {"checkpointing": True},
    "8 at once, checkpointing": {"micro_batch": 8, "checkpointing": True},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_timeline", description=__doc__
    )
    parser.add_argument("--texts", type=int, default=32, help="of the step")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2, help="from the top, that are trained")
    parser.add_argument("--output", type=Path, default=Path("build/timeline"))
    given = parser.parse_args(arguments)
    table = Table(
        "MB at the peak", *KINDS, "in all",
        title=f"A step of {given.texts} texts of {given.tokens} tokens, "
        f"{given.layers} layers trained",
    )  # fmt: skip
    given.output.mkdir(parents=True, exist_ok=True)
    for way, memory in _WAYS.items():
        found = timeline(
            EncoderTraining(
                window=WindowSettings(tokens=given.tokens, tail=given.tokens // 4),
                trained_layers=given.layers,
                batch_size=given.texts,
                memory=MemorySettings.model_validate(memory),
            )
        )
        peak = found.peak()
        table.add_row(way, *(f"{peak[kind]:.0f}" for kind in KINDS), f"{sum(peak.values()):.0f}")
        picture = given.output / f"{way.replace(',', '').replace(' ', '-')}.svg"
        picture.write_text(found.svg(f"Memory of a training step: {way}"), encoding="utf-8")
    console = Console(width=130)
    console.print(table)
    console.print(f"Pictures of the steps: {given.output}")


if __name__ == "__main__":
    main()
