"""Checkpoints of a training that may be broken off: whole or not there, and of this training alone.

A checkpoint is a folder that transformers' Trainer writes, in as many files as there are processes
and more. It counts once it is sealed: the sums of its files lie beside them, written last and in
one move. What was broken off while it was written has no seal, and the one before it is taken.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from tempfile import mkstemp
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from rampart.errors import TrainingError

_SEAL = "sums.json"
_TRAINING = "training.json"
_DONE = "done.json"
_PATTERN = "checkpoint-*"


class Keep(NamedTuple):
    """Where checkpoints are kept, and how often.

    Attributes:
        folder: that all processes see.
        every: steps from one to the next within an epoch; 0 for one after each epoch alone.
    """

    folder: Path
    every: int = 0


class Done(BaseModel):
    """A training that came to its end: where its best weights are, and what was said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str
    report: dict[str, Any]


class Checkpoints:
    """A folder that all processes of a training see.

    Args:
        folder: made where it is not there.
        identity: of the training, by `identity`.

    Raises:
        TrainingError: the folder is another training's, or cannot be written.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        said = folder / _TRAINING
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not said.exists():
                _write(said, json.dumps({"training": identity}))
            found = json.loads(said.read_text(encoding="utf-8")).get("training")
        except (OSError, ValueError, AttributeError) as error:
            raise TrainingError(
                f"{folder} cannot hold checkpoints: {error}.", "Name a folder that can be written."
            ) from error
        if found != identity:
            raise TrainingError(
                f"The checkpoints in {folder} are of another training: of other texts or settings.",
                "Name another folder, or remove this one.",
            )

    def latest(self) -> Path | None:
        """The newest that is sealed and unchanged; None where there is none."""
        known = sorted(self.folder.glob(_PATTERN), key=_step, reverse=True)
        return next((path for path in known if _whole(path)), None)

    def seal(self, step: int) -> None:
        """Say that all files of a step's checkpoint are written."""
        folder = self.folder / f"checkpoint-{step}"
        sums = {path.name: _sum(path) for path in sorted(folder.iterdir()) if path.name != _SEAL}
        _write(folder / _SEAL, json.dumps(sums, indent=2))

    def finish(self, best: Path, report: BaseModel) -> None:
        """Say that the training is over."""
        done = Done(checkpoint=best.name, report=report.model_dump())
        _write(self.folder / _DONE, done.model_dump_json(indent=2))

    def done(self) -> tuple[Path, dict[str, Any]] | None:
        """The best checkpoint of a training that is over, and its report; None where it is not."""
        try:
            found = Done.model_validate_json((self.folder / _DONE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        best = self.folder / Path(found.checkpoint).name
        return (best, found.report) if _whole(best) else None


def remove(folder: Path) -> None:
    """Take checkpoints away, and the folder where nothing else is in it."""
    for path in folder.glob(_PATTERN):
        rmtree(path, ignore_errors=True)
    for name in (_DONE, _TRAINING):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def identity(settings: BaseModel, parts: Sequence[tuple[Sequence[str], Any]]) -> str:
    """The same for the same training, however many processes share it and whatever it may take.

    Args:
        settings: of the training; how memory is saved does not count, but for the optimizer and the
            precision, which learn otherwise.
        parts: texts, and what is wanted of them as float64 [n].
    """
    free: Any = {"memory": {"micro_batch", "checkpointing", "states"}, "together": True}
    told = hashlib.sha256(settings.model_dump_json(exclude=free).encode())
    for texts, wanted in parts:
        for text in texts:
            told.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        told.update(wanted.tobytes())
    return told.hexdigest()


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _whole(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        return bool(sums) and all(_sum(folder / Path(name).name) == sums[name] for name in sums)
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    # Of several machines' processes, which in pods all have the same number, none has this name.
    number, part = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(part).replace(path)
