"""Whether `rampart score` holds its memory flat: `python -m benchmarks.memory`, on Linux.

Writes as many different texts as it is told, made of words that keep coming new, scores them with a
bundle in a child process, and prints the child's resident memory at each tenth of the way.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

WORDS = 24
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--models", help="that are asked, with commas; the ensemble if unset")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        texts, verdicts = Path(scratch) / "texts.jsonl", Path(scratch) / "verdicts.jsonl"
        _write(texts, given.texts)
        call = [sys.executable, "-m", "rampart.cli", "score", str(given.bundle)]
        call += ["--input", str(texts), "--output", str(verdicts)]
        call += ["--models", given.models] if given.models else []
        begun = time.monotonic()
        with subprocess.Popen(call) as process:  # noqa: S603 - our own module
            samples = _watch(process, verdicts.with_name(verdicts.name + ".part"))
        seconds = time.monotonic() - begun
        with verdicts.open("rb") as lines:
            scored = sum(1 for _ in lines)
        whole = verdicts.stat().st_size
    table = Table("part of the output", "resident MB", title=f"{scored:,} texts, {seconds:.0f} s")
    for tenth in range(1, 11):
        reached = [size for written, size in samples if written <= whole * tenth / 10]
        if reached:
            table.add_row(f"{tenth * 10} %", f"{reached[-1] / 1024:.0f}")
    Console().print(table)


def _write(path: Path, count: int) -> None:
    draw = random.Random(0)  # noqa: S311 - not for secrets
    common = ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = draw.choices(common, k=WORDS)
            words[0] = "".join(draw.choices(LETTERS, k=8))
            file.write(json.dumps({"id": str(number), "text": " ".join(words)}) + "\n")


def _watch(process: subprocess.Popen[bytes], output: Path) -> list[tuple[int, int]]:
    """Bytes written and resident kilobytes, as the child goes on."""
    samples = []
    while process.poll() is None:
        if output.exists():
            written = output.stat().st_size
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
            resident = next((line for line in lines if line.startswith("VmRSS:")), None)
            if written and resident:
                samples.append((written, int(resident.split()[1])))
        time.sleep(SECONDS)
    return samples


if __name__ == "__main__":
    main()
