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

CACHED = "rampart-cached "


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
    from kfp.local import cache

    from pipelines.catalogue import pipeline

    # KFP looks for "python" in the name of an image that it does not use.
    warnings.filterwarnings("ignore", message="You may be attemping to run a task")
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(root / "outputs"),
        enable_caching=True,
        cache_root=str(root / "cache"),
    )
    _tell_cached(cache.get_local_cache())
    task = pipeline(name)(**arguments)
    return {name: getattr(value, "path", value) for name, value in task.outputs.items()}


def _tell_cached(store: Any) -> None:
    """Print a line for each step whose outputs are found in the cache.

    KFP says nothing where logging is not set up, and else the name that both fits share.
    """
    key_of, find = store.compute_key, store.get
    steps: dict[str, str] = {}

    def compute_key(*, component_name: str, **given: Any) -> str:
        key: str = key_of(component_name=component_name, **given)
        steps[key] = component_name.removeprefix("comp-")
        return key

    def get(key: str) -> Any:
        outputs = find(key)
        if outputs is not None:
            print(CACHED + steps[key], flush=True)  # noqa: T201 - whoever started this reads it
        return outputs

    store.compute_key, store.get = compute_key, get


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
