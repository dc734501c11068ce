"""The same job on this machine: torchrun, which takes a process back that was lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from jobs.job import Tell
from rampart.errors import JobError

_GRACE_SECONDS = 20


def run_here(
    arguments: Sequence[str], tell: Tell, *, processes: int = 1, restarts: int = 3
) -> None:
    """Run `rampart train` in processes of this machine, and return when the bundle is there.

    Args:
        arguments: of `rampart train`.
        tell: is given what they print, line by line.
        processes: that train together.
        restarts: of all of them, where one is lost.

    Raises:
        JobError: the training failed.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    command += ["--monitor-interval=0.2", "-m", "rampart.cli", "train", *arguments]
    errors: list[str] = []
    last = ""
    with subprocess.Popen(  # noqa: S603 - our own program, and no shell
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=os.environ
        | {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "1000",  # an error is one line
        },
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe, by the call
            for line in process.stdout:
                last = line.rstrip()
                if last.startswith("error: ") and last not in errors:
                    errors.append(last)
                tell(last)
            code = process.wait()
        finally:
            if process.poll() is None:
                _end(process)
    if code:
        raise JobError(
            f"The training of {processes} processes failed: {' | '.join(errors or [last])}.",
            "Correct it and run this again: what was trained so far is in its checkpoints.",
        )


def _end(process: subprocess.Popen[str]) -> None:
    """By torchrun's own way, which ends its processes; else at once."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
