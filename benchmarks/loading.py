"""What the model cache does for loading and for memory: `make benchmark-loading`.

A bundle's encoder is loaded as it is, and as the model cache keeps it, each several times in a new
process that then scores one text: seconds until it is loaded, what that adds to the process's
resident memory, and how much of it is its own (anonymous), where the rest is a file that is mapped
and that other processes share.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from rampart.bundle.cache import BundleCache, Holding
from rampart.data.cleaning import AlignedText
from rampart.models.encoder import EncoderModel

_TEXT = "You have won a prize. Click here to claim your money. " * 12
_COLUMNS = ("seconds", "resident", "own")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    encoder = given.bundle / "encoder"
    with tempfile.TemporaryDirectory() as cache:
        _apart(encoder, cache)  # makes what is kept
        for _ in range(given.rounds):
            found["as it is"].append(_apart(encoder, ""))
            found["from the model cache"].append(_apart(encoder, cache))
    table = Table("the encoder", "seconds", "MB resident", "of it MB of its own",
                  title="Median of the rounds (lowest to highest)")  # fmt: skip
    for name, rounds in found.items():
        table.add_row(name, *(_spread([one[column] for one in rounds]) for column in _COLUMNS))
    Console(width=110).print(table)


def _apart(encoder: Path, cache: str) -> dict[str, float]:
    call = f"from benchmarks.loading import load; load({str(encoder)!r}, {cache!r})"
    said = subprocess.run(  # noqa: S603 - no shell
        [sys.executable, "-c", call], check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(said.stdout)
    return figures


def load(encoder: str, cache: str) -> None:
    """Print, as JSON, what loading the encoder in a folder takes."""
    import onnxruntime
    import tokenizers

    del onnxruntime, tokenizers  # what the libraries take is not the model's
    keep = Holding(BundleCache(Path(cache))).keep if cache else None
    text = [AlignedText.plain(_TEXT)]
    before, begin = memory_now(), time.perf_counter()
    model = EncoderModel.load(Path(encoder), threads=1, keep=keep)
    seconds = time.perf_counter() - begin
    model.score(text)
    after = memory_now()
    sys.stdout.write(
        json.dumps(
            {
                "seconds": seconds,
                "resident": after["VmRSS"] - before["VmRSS"],
                "own": after["RssAnon"] - before["RssAnon"],
            }
        )
    )


def memory_now() -> dict[str, float]:
    """MB by the names that Linux gives them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(":") for line in lines if line.startswith(("VmRSS", "RssAnon")))
    return {name: int(value.split()[0]) * 1024 / 1e6 for name, value in pairs}


def _spread(values: Sequence[float]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
