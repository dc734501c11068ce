"""What a second process gives in training, and what more would: `make benchmark-scaling`.

One process of one thread against two of one thread each, under torchrun with gloo, on the same real
mails and the same steps of 32: texts a second over the whole fine-tuning, the frozen layers
included, and the loss on validation. Beside them, as the limit of the machine, two that each train
alone at the same time and never speak. From the measured second a text, the size of the gradient
and the network named, a model of ring all-reduce says how far more processes get.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import messages
from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.data.sources import SPAM_ASSASSIN
from rampart.data.tables import read_table, write_table
from rampart.models.encoder import WindowSettings
from rampart.training.encoder import EncoderTraining, train_encoder
from rampart.training.ranks import Ranks

_WORKERS = (1, 2, 4, 8, 16, 32, 64)
# Seconds that a message takes to begin, and bytes a second: what is common, and what is quick.
_NETWORKS = {
    "1 Gbit/s": (50e-6, 1e9 / 8),
    "10 Gbit/s": (30e-6, 10e9 / 8),
    "100 Gbit/s": (5e-6, 100e9 / 8),
}
_BYTES = 4


def all_reduce(workers: int, size: float, latency: float, bandwidth: float) -> float:
    """Seconds of a ring all-reduce: 2 (n - 1) messages one after the other, of size / n bytes each.

    Source: Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of
    workstations, 2009.
    """
    steps = 2 * (workers - 1)
    return steps * latency + steps * size / workers / bandwidth


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--texts", type=int, default=960)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2, help="from the top, that are trained")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    found: dict[str, list[dict[str, Any]]] = {"1": [], "2": [], "2 that do not speak": []}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "messages.parquet"
        write_table(splits.split(messages(SPAM_ASSASSIN), seed=0, timed=False), path)
        for _ in range(given.rounds):
            found["1"].append(_run(1, path, given))
            found["2"].append(_run(2, path, given))
            found["2 that do not speak"].append(_apart(path, given))
    console = Console(width=110)
    table = Table("processes of one thread", "texts a second", "of one", "waited in steps",
                  "validation loss",
                  title=f"{given.texts} texts, 32 a step, {given.rounds} rounds")  # fmt: skip
    alone = np.array([one["texts"] for one in found["1"]])
    for name, rounds in found.items():
        each = np.array([one["texts"] for one in rounds])
        losses = ", ".join(f"{loss:.4f}" for loss in rounds[0]["losses"])
        table.add_row(
            name,
            f"{np.median(each):.1f} ({each.min():.1f} to {each.max():.1f})",
            f"{np.median(each) / np.median(alone):.2f} "
            f"({(each / alone).min():.2f} to {(each / alone).max():.2f})",
            ", ".join(f"{share:.1%}" for share in np.median([one["waited"] for one in rounds], 0)),
            losses,
        )
    console.print(table)
    console.print(_paper(found["1"][0], float(np.median([one["step"] for one in found["1"]]))))


def _paper(one: dict[str, Any], step: float) -> Table:
    """Speed-up of more workers: each step's 32 texts shared, and 32 texts for each worker."""
    size = one["trained"] * _BYTES
    table = Table("workers", title=f"On paper: a step of 32 computes {step:.2f} s, "
                  f"the gradient has {size / 1e6:.1f} MB")  # fmt: skip
    for name in _NETWORKS:
        table.add_column(f"{name}: step shared")
        table.add_column("32 for each")
    for workers in _WORKERS:
        row = [str(workers)]
        for latency, bandwidth in _NETWORKS.values():
            speak = all_reduce(workers, size, latency, bandwidth)
            shared = step / (step / workers + speak) if workers <= 32 else float("nan")
            row += [f"{shared:.1f}" if workers <= 32 else "-",
                    f"{workers * step / (step + speak):.1f}"]  # fmt: skip
        table.add_row(*row)
    return table


def _apart(path: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Two trainings of one process each at the same time: what the machine gives to two."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: _run(1, path, given), range(2)))
    return both[0] | {"texts": sum(one["texts"] for one in both)}


def _run(count: int, path: Path, given: argparse.Namespace) -> dict[str, Any]:
    words = json.dumps({key: getattr(given, key) for key in ("texts", "tokens", "layers")})
    program = ["-m", "benchmarks.scaling_worker", str(path), words]
    launcher = [sys.executable]
    if count > 1:
        torchrun = str(Path(sys.executable).with_name("torchrun"))
        launcher = [torchrun, "--standalone", f"--nproc-per-node={count}"]
    done = subprocess.run(  # noqa: S603 - no shell
        [*launcher, *program], check=True, capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(path: str, words: str) -> None:
    """In each process: train, and the first prints what it took."""
    import torch

    from rampart.training.network import EncoderNetwork

    given = json.loads(words)
    torch.set_num_threads(1)
    settings = EncoderTraining(
        window=WindowSettings(tokens=given["tokens"], tail=given["tokens"] // 4),
        trained_layers=given["layers"],
        epochs=2,
        patience=2,
        sample=given["texts"],
    )
    table = read_table(Path(path))
    parts = [Labelled.part(table, "split", part) for part in ("train", "validation")]
    network = EncoderNetwork.from_base(settings.base, trained_layers=settings.trained_layers)
    trained = sum(one.numel() for one in network.parameters() if one.requires_grad)
    steps: list[float] = []

    def on_progress(_: int, __: int) -> None:
        steps.append(time.perf_counter())

    ranks = Ranks.of_environment()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = train_encoder(parts[0], parts[1], Path(folder), settings, on_progress=on_progress)
    seconds = time.perf_counter() - begin
    if ranks.first:
        found = {
            "texts": report.texts * report.epochs / seconds,
            # The last are training's; those before them the frozen layers'.
            "step": float(np.median(np.diff(steps)[-2 * (given["texts"] // 32) :])),
            "trained": trained,
            "losses": report.validation_loss,
            "waited": [rank.waited for rank in report.ranks],
        }
        sys.stdout.write(json.dumps(found) + "\n")
    ranks.leave()


if __name__ == "__main__":
    main()
