"""One training, wherever it runs: its table goes there, its bundle comes back, nothing stays.

It is named by what it is of: the table's content and its options. Broken off and started again, the
same training finds its job and its checkpoints, whichever run it is then part of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile, copytree, rmtree
from typing import Any, Literal, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.follow import follow
from jobs.here import run_here
from jobs.job import CLAIM, DATA, IMAGE, Tell, TrainingJob
from rampart.bundle.store import read_manifest
from rampart.data.manifest import FILE
from rampart.data.shards import is_sharded
from rampart.errors import InputError, JobError
from rampart.settings import user_cache
from rollout.cluster import Cluster, own_namespace

M = TypeVar("M", bound=BaseModel)
Where = Literal["here", "PyTorchJob", "TrainJob"]
_TABLE = "table"


class Place(BaseModel):
    """Where a training runs.

    Attributes:
        where: torchrun in this process, or a job of a cluster.
        processes: that train together.
        restarts: of each, until the training has failed.
        namespace: of the job; this pod's own where it is empty.
        shared: where the claim `rampart-training` is here; the job's pods have it at /data.
        image: of the job's pods; that of manifests/training if empty.
        cpu: cores that each pod asks for.
        memory: that each pod asks for.
        deadline_seconds: after which the job has failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Where = "here"
    processes: int = Field(default=1, ge=1)
    restarts: int = Field(default=3, ge=0)
    namespace: str = ""
    shared: Path = Path(DATA)
    image: str = ""
    cpu: str = "2"
    memory: str = "4Gi"
    deadline_seconds: int = 21_600

    @classmethod
    def of(cls, **given: Any) -> Self:
        """The same with our own error.

        Raises:
            InputError: a value cannot be used; it says which, and why.
        """
        return _checked(cls, "A training's", given)


def train(
    table: Path, bundle: Path, options: Sequence[str], place: Place, tell: Tell
) -> dict[str, Any]:
    """Train a bundle, and return the report of its encoder.

    Args:
        table: split messages.
        bundle: folder that it goes to.
        options: of `rampart train`, but for paths.
        place: where it runs.
        tell: is given what the processes print.

    Raises:
        InputError: the place cannot be what is said of it.
        JobError: the training failed.
        RolloutError: the API server refuses.
    """
    name = f"rampart-training-{_named(table, options)}"
    if place.where == "here":
        folder = user_cache() / "training" / name
        arguments = [f"--table={table}", *options, *_paths(folder)]
        with _alone(name, tell):
            folder.mkdir(parents=True, exist_ok=True)
            run_here(arguments, tell, processes=place.processes, restarts=place.restarts)
            return _taken(folder, bundle)
    folder = place.shared / name
    _in_a_cluster(table, folder, options, place, tell)
    return _taken(folder, bundle)


@contextmanager
def _alone(name: str, tell: Tell) -> Iterator[None]:
    """Hold a training on this machine; a second of the same table and options waits its turn."""
    locks = user_cache() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell("The same training runs already on this machine: this one waits for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _taken(folder: Path, bundle: Path) -> dict[str, Any]:
    """Take a training's bundle and its report out of its folder, which goes."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    # What is whole is told from what is not by its manifest, which is checked as it is read.
    read_manifest(folder / "bundle")
    copytree(folder / "bundle", bundle, dirs_exist_ok=True)
    rmtree(folder)
    return report


def _named(table: Path, options: Sequence[str]) -> str:
    # The manifest of a table in shards has the sums of them.
    with (table / FILE if is_sharded(table) else table).open("rb") as file:
        told = hashlib.file_digest(file, "sha256")
    told.update("\n".join(options).encode())
    return told.hexdigest()[:12]


def _in_a_cluster(
    table: Path, folder: Path, options: Sequence[str], place: Place, tell: Tell
) -> None:
    if not place.shared.is_dir():
        raise JobError(
            f"The claim {CLAIM} is not mounted at {place.shared}.",
            "Submit the pipeline by `rampart pipeline submit distributed`, which mounts it.",
        )
    folder.mkdir(exist_ok=True)
    if not (folder / _TABLE).exists():
        part = folder / f"{_TABLE}.part"
        if is_sharded(table):
            copytree(table, part, dirs_exist_ok=True)
        else:
            copyfile(table, part)
        part.replace(folder / _TABLE)
    there = Path(DATA) / folder.name
    given = {
        "name": folder.name,
        "kind": place.where,
        "arguments": (f"--table={there / _TABLE}", *options, *_paths(there)),
        "image": place.image or IMAGE,
        **place.model_dump(include={"processes", "cpu", "memory", "restarts", "deadline_seconds"}),
    }
    job = _checked(TrainingJob, "A training job's", given)
    follow(Cluster.configured(place.namespace or own_namespace()), job, tell)


def _checked(kind: type[M], whose: str, given: dict[str, Any]) -> M:
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{whose} {first['loc'][0]} cannot be {first['input']!r}: {first['msg']}.",
            "Correct it.",
        ) from None


def _paths(folder: Path) -> list[str]:
    return [
        f"--bundle={folder / 'bundle'}",
        f"--checkpoints={folder / 'checkpoints'}",
        f"--report={folder / 'report.json'}",
    ]
