"""What smaller variants of the encoder cost and save: `make benchmark-compression`.

The encoder of a bundle as it is and with 8-bit weights: bytes on disk, what loading and running it
adds to a process's resident memory, CPU milliseconds a batch of 1 and of 8 texts of 32 and of 126
tokens on one thread, and its quality on held-out mails (the test part of the campaign split), with
the other models beside it too. Each variant's cost is measured in a process of its own, in turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from rampart.compression.quantisation import quantise_encoder
from rampart.data import splits
from rampart.data.cleaning import AlignedText, clean
from rampart.data.sources import SPAM_ASSASSIN
from rampart.ensembles.base import Stage
from rampart.evaluation.metrics import measure
from rampart.evaluation.scored import Scored
from rampart.inference.engine import Engine
from rampart.models.base import sigmoid
from rampart.models.encoder import ONNX_FILE, EncoderModel

FOLDER = Path("build/benchmarks/compression")
_SHAPES = tuple((texts, tokens) for texts in (1, 8) for tokens in (32, 126))
_REPEATS = 60
_SHOWN = ("f1", "recall_at_1_fpr", "pr_auc")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compression", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    given = parser.parse_args(arguments)
    console = Console(width=150)
    usual, small = given.bundle / "encoder", FOLDER / "int8"
    console.print(
        f"{quantise_encoder(usual, small)} tables of weights became integers", style="dim"
    )
    variants = {"float 32": usual, "int8, dynamic, per channel": small}
    rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(given.rounds):
        for name, folder in variants.items():
            rounds[name].append(_apart(folder))
    cost = _table("Cost: median of the rounds (lowest to highest)", "MB on disk", "MB resident",
                  *(f"ms CPU, {texts} x {tokens} tokens" for texts, tokens in _SHAPES))  # fmt: skip
    for name, folder in variants.items():
        size = (folder / ONNX_FILE).stat().st_size / 1e6
        columns = ["resident", *map(_name, _SHAPES)]
        cost.add_row(name, f"{size:.1f}", *(_spread(rounds[name], column) for column in columns))
    console.print(cost)
    console.print(_quality(given, variants))


def _quality(given: argparse.Namespace, variants: dict[str, Path]) -> Table:
    """Each variant alone and in the vote, on the same mails."""
    tested = splits.split(corpus.messages(given.source), seed=given.seed, timed=False)
    tested = tested[tested["split"] == "test"]
    engine = Engine.load(given.bundle)
    texts = tested["text"].tolist()
    labels = tested["label"].to_numpy()
    logits = engine.logits(texts)
    shown = _table(f"Quality on {len(texts)} held-out mails", *_SHOWN, "verdicts changed",
                   *(f"all models: {name}" for name in _SHOWN), "verdicts changed")  # fmt: skip
    entry = next(entry for entry in engine.manifest.models if entry.name == "encoder")
    stage: Stage = engine.manifest.ensemble.stages[-1]
    before: list[NDArray[np.bool_]] = []
    for name, folder in variants.items():
        logit = (
            EncoderModel.load(folder).score([clean(text) for text in texts], explain=False).logit
        )
        row = []
        alone = sigmoid(entry.calibration(logit))
        together = sigmoid(stage.combine({**logits, "encoder": logit}))
        for place, (probability, limit) in enumerate(
            ((alone, entry.threshold), (together, engine.manifest.threshold))
        ):
            figures = measure(Scored.of(labels, probability, limit))
            row += [f"{figures[metric] or 0:.4f}" for metric in _SHOWN]
            if len(before) <= place:
                before.append(probability >= limit)
            row.append(str(int(np.sum((probability >= limit) != before[place]))))
        shown.add_row(name, *row)
    return shown


def _apart(folder: Path) -> dict[str, float]:
    """What a variant costs, measured in a process of its own."""
    call = [sys.executable, "-c", f"from benchmarks.compression import cost; cost({str(folder)!r})"]
    said = subprocess.run(call, check=True, capture_output=True, text=True)  # noqa: S603 - no shell
    figures: dict[str, float] = json.loads(said.stdout)
    return figures


def cost(folder: str) -> None:
    """Print, as JSON, what the encoder in a folder takes to load and to run on one thread."""
    import onnxruntime as ort

    # The library's own memory is not the model's.
    assert ort.get_available_providers()  # noqa: S101 - imported for that
    AlignedText.plain("a")
    process = psutil.Process()
    before = process.memory_info().rss
    model = EncoderModel.load(Path(folder), threads=1)
    draw = np.random.default_rng(0)
    found: dict[str, float] = {}
    for shape in _SHAPES:
        ids = draw.integers(1000, 20000, size=shape)
        fed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        times = []
        for _ in range(_REPEATS):
            begin = time.process_time()
            model.session.run(None, fed)
            times.append(time.process_time() - begin)
        found[_name(shape)] = float(np.median(times)) * 1e3
    found["resident"] = (process.memory_info().rss - before) / 1e6
    sys.stdout.write(json.dumps(found))


def _name(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _spread(rounds: Sequence[dict[str, float]], column: str) -> str:
    values = [figures[column] for figures in rounds]
    return f"{np.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("variant")
    for column in columns:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
