"""Whether a corpus may be larger than memory: `make benchmark-scale`, on Linux.

Makes up a million mails and takes them through ingest, cleaning, de-duplication, campaigns, splits
and the fitting of the n-gram model, each step in a process of its own with its helpers. A step has
so much memory: the resident memory of all its processes is looked at twenty times a second (pages
that several share are counted for each), and what goes over the limit is killed, as a container
would be; besides, no process may ask for more data than the limit. Prints each step's peak and its
time, by the clock and of the processor, which others on the machine lengthen far less, and how
right the model is about mails of campaigns that it has not seen.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import synthetic_mails

_EVERY = 0.05
_GIB = 2**30


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--mails", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=4.0, help="GiB that a step may take")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("build/scale"))
    parser.add_argument("--keep", action="store_true", help="leave the dataset and the model there")
    parser.add_argument("--step", choices=list(_STEPS), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step:
        limit = int(given.limit * _GIB)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        found = _STEPS[given.step](given.folder, given.processes)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    begun = time.monotonic()
    synthetic_mails.write(given.folder / "mails", given.mails)
    size = sum(path.stat().st_size for path in (given.folder / "mails").iterdir())
    console = Console(width=120)
    console.print(
        f"{given.mails:,} mails, {size / 1e9:.2f} GB, made in {time.monotonic() - begun:.0f} s"
    )
    table = Table("step", "rows", "seconds", "CPU s", "peak MB", "disk MB", "found")
    results = [_measured(step, given) for step in _STEPS]
    for result in results:
        table.add_row(*result.shown())
    table.add_row(
        "all", "", f"{sum(result.seconds for result in results):.0f}",
        f"{sum(result.processor for result in results):.0f}",
        f"{max(result.peak for result in results) / 1e6:.0f}", "",
        f"limit {given.limit * _GIB / 1e6:.0f} MB",
    )  # fmt: skip
    console.print(table)
    if not given.keep:
        shutil.rmtree(given.folder)


@dataclass(frozen=True)
class _Result:
    """What one step took."""

    step: str
    seconds: float
    processor: float
    peak: int
    disk: int
    said: dict[str, Any]

    def shown(self) -> list[str]:
        rows = self.said.pop("rows")
        told = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
            for name, value in self.said.items()
        )
        return [
            self.step, f"{rows:,}", f"{self.seconds:.1f}", f"{self.processor:.1f}",
            f"{self.peak / 1e6:.0f}", f"{self.disk / 1e6:.0f}", told,
        ]  # fmt: skip


def _measured(step: str, given: argparse.Namespace) -> _Result:
    call = [sys.executable, "-m", "benchmarks.scale", "--step", step]
    call += ["--folder", str(given.folder), "--limit", str(given.limit)]
    call += ["--processes", str(given.processes)]
    begun, before = time.monotonic(), _processor()
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        watch = _Watch(process.pid, int(given.limit * _GIB), given.folder)
        watch.start()
        said, _ = process.communicate()
        watch.ended.set()
        watch.join()
    if watch.over:
        sys.exit(f"{step}: killed at {watch.peak / 1e6:.0f} MB, over the limit.")
    if process.returncode:
        sys.exit(f"{step}: ended with {process.returncode}.")
    seconds = time.monotonic() - begun
    sys.stderr.write(f"{step}: {seconds:.0f} s, {watch.peak / 1e6:.0f} MB\n")
    found = json.loads(said.splitlines()[-1])
    return _Result(step, seconds, _processor() - before, watch.peak, watch.disk, found)


def _processor() -> float:
    """Processor seconds of the processes that have ended, and of all that these waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch(threading.Thread):
    """Looks at the memory of a process and all below it, and ends them where it is too much."""

    def __init__(self, pid: int, limit: int, folder: Path) -> None:
        super().__init__()
        self.process = psutil.Process(pid)
        self.limit, self.folder = limit, folder
        self.peak = self.disk = 0
        self.over = False
        self.ended = threading.Event()

    def run(self) -> None:
        looks = 0
        while not self.ended.wait(_EVERY):
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.Error:
                continue
            resident = sum(_resident(member) for member in family)
            self.peak = max(self.peak, resident)
            if resident > self.limit:
                self.over = True
                for member in reversed(family):
                    member.kill()
            if looks % 40 == 0:
                self.disk = max(self.disk, _size(self.folder))
            looks += 1


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _size(folder: Path) -> int:
    total = 0
    # Files and folders take other names meanwhile: `os.walk` leaves out what is gone.
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).stat().st_size
    return total


def _stage(name: str) -> Callable[[int, int], None]:
    """Says each step's begin, tenths and, where the end is unknown, tens."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = done * 10 // total if total else done // 10
        if tenth > told:
            told = tenth
            sys.stderr.write(f"  {name}: {f'{tenth * 10} %' if total else done}\n")

    sys.stderr.write(f"  {name}\n")
    return tell


def _ingest(folder: Path, processes: int) -> dict[str, Any]:
    from rampart.data.ingestion import ingest

    del processes
    rows, rejects = ingest(
        str(folder / "mails"), folder / "raw", folder / "unread", on_progress=_stage("Reading")
    )
    return {"rows": rows + rejects, "rejects": rejects}


def _clean(folder: Path, processes: int) -> dict[str, Any]:
    from rampart.data.rejects import rejecting
    from rampart.data.shards import row_count
    from rampart.data.sketches import read_messages

    tell = _stage("Parsing and cleaning")
    with rejecting(folder / "unusable") as rejects:
        kept = read_messages(
            folder / "raw", folder / "work", rejects, processes=processes, on_progress=tell
        )
    rows = row_count(folder / "raw")
    shutil.rmtree(folder / "raw")
    return {"rows": rows, "messages": kept}


def _deduplicate(folder: Path, processes: int) -> dict[str, Any]:
    from rampart.data import layouts
    from rampart.data.rejects import rejecting
    from rampart.data.sharding import writing
    from rampart.data.shards import row_count
    from rampart.data.uniting import unite

    del processes
    with (
        writing(folder / "messages", layouts.MESSAGES) as messages,
        rejecting(folder / "copies") as rejects,
    ):
        kept, campaigns = unite(folder / "work", messages, rejects, _stage("Writing"))
    rows = row_count(folder / "work/messages")
    shutil.rmtree(folder / "work")
    return {"rows": rows, "messages": kept, "campaigns": campaigns}


def _split(folder: Path, processes: int) -> dict[str, Any]:
    from rampart.data.dataset import split_shards

    del processes
    parts = split_shards(folder / "messages", folder / "table", on_progress=_stage("Splitting"))
    shutil.rmtree(folder / "messages")
    counts = {part: parts[f"split {part}"] for part in ("train", "validation", "test")}
    return {"rows": sum(counts.values()), **counts}


def _train(folder: Path, processes: int) -> dict[str, Any]:
    from rampart.data.shards import row_count
    from rampart.training.ngram_stream import fit_ngram_stream

    work = folder / "fitting"
    work.mkdir()
    model = fit_ngram_stream(folder / "table", processes=processes, work=work, stage=_stage)
    model.save(folder / "model")
    names = {"words": len(model.words.idf), "characters": len(model.characters.idf)}
    return {"rows": row_count(folder / "table"), **names}


def _score(folder: Path, processes: int) -> dict[str, Any]:
    import numpy as np

    from rampart.data.cleaning import AlignedText
    from rampart.data.shards import read_batches
    from rampart.models.ngram import NgramModel

    del processes
    model = NgramModel.load(folder / "model")
    right: list[bool] = []
    for batch in read_batches(folder / "table", ["clean", "label", "split"]):
        rows = [row for row in batch.to_pylist() if row["split"] == "test"][::10]
        texts = [AlignedText.plain(row["clean"]) for row in rows]
        logits = model.score(texts, explain=False).logit
        right += ((logits > 0) == np.array([row["label"] for row in rows], dtype=bool)).tolist()
    return {"rows": len(right), "right of the test part": f"{np.mean(right):.2%}"}


_STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "ingest": _ingest,
    "clean": _clean,
    "de-duplicate, find campaigns": _deduplicate,
    "split": _split,
    "fit the n-grams": _train,
    "score a tenth of the test part": _score,
}


if __name__ == "__main__":
    main()
