"""A pipeline's steps as they run: a bar for each, or a line for each where nobody watches."""

from __future__ import annotations

import time
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_TITLES = {
    "ingest": "Fetch and read the mails",
    "clean": "Parse, clean, find campaigns",
    "split": "Split by campaign and by time",
    "train-ngram": "Train the n-grams",
    "train-tabular": "Train the trees over features",
    "train-encoder": "Train the encoder",
    "train-attribution": "Learn which words the encoder rests on",
    "export-onnx": "Export the encoder to ONNX",
    "choose-encoder": "Make the encoder cheaper",
    "combine": "Calibrate and combine",
    "evaluate": "Evaluate with intervals",
    "explain": "Explain verdicts",
    "gate": "Compare with the champion",
    "register": "Register",
    "publish": "Publish the bundle where KServe reads it",
    "deploy": "Roll it out behind KServe",
}
_ENDS = {"done": "done", "cached": "done before", "failed": "failed"}


class Steps:
    """Shows the events of a run."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self.total = total
        self.count = 0
        self.begun = 0.0
        self.task: TaskID | None = None
        self.bars = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[number]:>5} {task.description:<44}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[end]:<11}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, event: Any) -> None:
        """Show one `pipelines.execution.Event`."""
        if event.kind in {"started", "cached"}:
            self.count += 1
            self.begun = time.monotonic()
            self.task = self.bars.add_task(
                title(event.step), total=None, number=f"{self.count}/{self.total}", end=""
            )
        if self.task is None:
            return
        if event.kind == "progress":
            self.bars.update(self.task, completed=event.done, total=event.total or None)
        elif event.kind in _ENDS:
            whole = 1 if event.kind != "failed" else None
            self.bars.update(self.task, completed=1, total=whole, end=_ENDS[event.kind])
            self.bars.stop_task(self.task)
            if not self.console.is_terminal:
                seconds = time.monotonic() - self.begun
                self.console.print(
                    f"{self.count:>3}/{self.total} {title(event.step):<44} "
                    f"{_ENDS[event.kind]:<11} {seconds:6.1f} s"
                )


def title(step: str) -> str:
    """A step's name for people; the second of a name belongs to the time split."""
    name = step.removesuffix("-2")
    plain = _TITLES.get(name, name)
    return plain if name == step else f"{plain}, on the past alone"
