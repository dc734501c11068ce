"""Run a pipeline on this machine, each step in a process of its own, by KFP's own local runner.

Run as a program (`python -m pipelines.local training ARGUMENTS.json RESULT.json`), because whoever
starts it reads what it prints and may end it at any time: steps that were done are found in the
cache when it is started again. It ends with whoever started it, which is told by the end of its
standard input: even one that is killed leaves no run behind that a second run could meet.
"""

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run(name: str, arguments: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Run a pipeline to its end.

    Args:
        name: one of `pipelines.catalogue.NAMES`.
        arguments: the pipeline's own.
        root: folder for outputs and for the cache.

    Returns:
        Name of each of the pipeline's outputs to its value, or its path where it is an artifact.

    Raises:
        RuntimeError: a step failed; KFP names it.
    """
    from kfp import local

    from pipelines.catalogue import pipeline

    # KFP looks for "python" in the name of an image that it does not use.
    warnings.filterwarnings("ignore", message="You may be attemping to run a task")
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root / "outputs"),
        enable_caching=True,
        cache_root=str(root / "cache"),
    )
    task = pipeline(name)(**arguments)
    return {name: getattr(value, "path", value) for name, value in task.outputs.items()}


def main(name: str, arguments: str, result: str) -> None:
    """Run with arguments from a file and write the outputs to another, whole or not at all."""
    root = Path(result).parent
    outputs = run(name, json.loads(Path(arguments).read_text(encoding="utf-8")), root)
    written = Path(result).with_suffix(".part")
    written.write_text(json.dumps(outputs), encoding="utf-8")
    written.replace(result)


def end_with_standard_input() -> None:
    """End this process and its steps, which share its group, when standard input ends."""

    def watch() -> None:
        # Not sys.stdin: its lock would be held when the interpreter ends.
        while os.read(0, 1024):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_standard_input()
    main(*sys.argv[1:])
