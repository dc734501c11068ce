"""Starts one_or_more.py alone or under torchrun, and reads what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("one_or_more.py")
TORCHRUN = Path(sys.executable).with_name("torchrun")


class Trains:
    """Runs the program on one base encoder; its network goes into a folder of `folder`."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base = base
        self.folder = folder

    def __call__(
        self, count: int, *more: str, micro: int = 8, restarts: int = 0
    ) -> subprocess.CompletedProcess:
        launcher = [str(TORCHRUN), "--standalone", f"--nproc-per-node={count}"]
        launcher += [f"--max-restarts={restarts}", "--monitor-interval=0.1"]
        command = [*(launcher if count > 1 else [sys.executable]), str(PROGRAM), str(self.base)]
        return subprocess.run(
            [*command, str(self.folder / "network"), str(micro), "float32", *more],
            capture_output=True, text=True, timeout=240, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def found(done: subprocess.CompletedProcess) -> dict[str, Any]:
    """What a run that went well came to."""
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said
