"""What each way to save memory saves in training, and costs: `make benchmark-training-memory`.

The encoder is fine-tuned on real mails, once in each way and each time in a process of its own:
the most memory of its own (anonymous: what the kernel cannot take back) beyond what it has with the
network loaded, seconds a text, and the loss on validation after each epoch. Dropout draws other
numbers for other parts of a step, so that two seeds' losses are the scale for the others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.corpus import messages
from benchmarks.loading import memory_now
from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.data.sources import SPAM_ASSASSIN
from rampart.data.tables import read_table, write_table
from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining, train_encoder
from rampart.training.memory import MemorySettings

_WAYS: dict[str, dict[str, Any]] = {
    "a step at once": {},
    "the same, another seed": {"seed": 1},
    "16 texts at once": {"micro_batch": 16},
    "8 texts at once": {"micro_batch": 8},
    "4 texts at once": {"micro_batch": 4},
    "checkpointing": {"checkpointing": True},
    "8 at once, checkpointing": {"micro_batch": 8, "checkpointing": True},
    "8 at once, states on disk": {"micro_batch": 8, "states": "disk"},
    "8 at once, bfloat16": {"micro_batch": 8, "precision": "auto"},
    "8 at once, Adafactor": {"micro_batch": 8, "optimizer": "adafactor"},
    "4 at once, all of it": {
        "micro_batch": 4, "checkpointing": True, "states": "disk", "optimizer": "adafactor",
    },
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_memory", description=__doc__
    )
    parser.add_argument("--texts", type=int, default=640)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2, help="from the top, that are trained")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", nargs="*", choices=list(_WAYS), default=list(_WAYS))
    given = parser.parse_args(arguments)
    table = Table(
        "way", "peak MB", "of the first", "s a text", "of the first", "validation loss",
        title=f"{given.texts} texts of up to {given.tokens} tokens, 32 a step, "
        f"{given.layers} layers trained, {given.threads} threads",
    )  # fmt: skip
    first: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "messages.parquet"
        write_table(splits.split(messages(SPAM_ASSASSIN), seed=0, timed=False), path)
        for way in given.ways:
            found = _apart(path, vars(given) | {"way": way})
            first = first or found
            table.add_row(
                way,
                f"{found['megabytes']:.0f}",
                f"{found['megabytes'] / first['megabytes']:.0%}",
                f"{found['seconds'] * 1e3:.1f} ms",
                f"{found['seconds'] / first['seconds']:.2f}",
                ", ".join(f"{loss:.4f}" for loss in found["losses"]),
            )
    Console(width=120).print(table)


def _apart(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    words = {key: given[key] for key in ("texts", "tokens", "layers", "epochs", "threads", "way")}
    call = (
        f"from benchmarks.training_memory import train; train({str(path)!r}, {json.dumps(words)!r})"
    )
    done = subprocess.run(  # noqa: S603 - no shell
        [sys.executable, "-c", call], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(path: str, words: str) -> None:
    """In a process of its own: train in one way, and print what it took."""
    import torch
    import transformers  # noqa: F401 - what it takes is not training's

    given = json.loads(words)
    way = dict(_WAYS[given["way"]])
    torch.set_num_threads(given["threads"])
    settings = EncoderTraining(
        window=WindowSettings(tokens=given["tokens"], tail=given["tokens"] // 4),
        trained_layers=given["layers"],
        epochs=given["epochs"],
        patience=given["epochs"],
        sample=given["texts"],
        seed=way.pop("seed", 0),
        memory=MemorySettings.model_validate(way),
    )
    table = read_table(Path(path))
    parts = [Labelled.part(table, "split", part) for part in ("train", "validation")]
    del table
    from transformers import Trainer  # noqa: F401 - likewise

    from rampart.training.network import EncoderNetwork

    network = EncoderNetwork.from_base(settings.base, trained_layers=settings.trained_layers)
    before = memory_now()["RssAnon"]
    del network
    peak = [before]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            peak[0] = max(peak[0], memory_now()["RssAnon"])

    looker = threading.Thread(target=look)
    looker.start()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = train_encoder(parts[0], parts[1], Path(folder), settings)
    seconds = (time.perf_counter() - begin) / (report.texts * report.epochs)
    ended.set()
    looker.join()
    found = {
        "megabytes": peak[0] - before,
        "seconds": seconds,
        "losses": report.validation_loss,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
