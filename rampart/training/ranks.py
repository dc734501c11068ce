"""Which of several training processes this is, by what torchrun and the Training Operator say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from stat import S_ISDIR
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, TypeVar

from rampart.errors import TrainingError

T = TypeVar("T")
# The others wait for the first while it goes on alone; not where they find the end in checkpoints.
_WAIT_SECONDS = 12 * 3600
_LOST_SECONDS = 1800
_POLL = 0.02


@dataclass(frozen=True)
class Ranks:
    """One of `count` processes that train one model together.

    Attributes:
        rank: among all of them.
        count: of all of them.
        local: among those of this machine.
        local_count: of those of this machine.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    local_count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and tells."""
        return self.rank == 0

    @classmethod
    def of_environment(cls) -> Ranks:
        """By RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE; alone where there is none.

        Raises:
            TrainingError: one of them is no number, or they contradict each other.
        """
        names = {
            "rank": "RANK",
            "count": "WORLD_SIZE",
            "local": "LOCAL_RANK",
            "local_count": "LOCAL_WORLD_SIZE",
        }
        try:
            given = {
                key: int(os.environ[name]) for key, name in names.items() if name in os.environ
            }
            found = cls(**given)
        except ValueError as error:
            raise TrainingError(
                f"The process cannot tell which of several it is: {error}.",
                "Start it by torchrun, or in a PyTorchJob.",
            ) from error
        whole, here = found.rank < found.count, found.local < found.local_count
        if found.rank < 0 or found.local < 0 or not whole or (found.local_count > 1 and not here):
            raise TrainingError(
                f"RANK is {found.rank} and WORLD_SIZE {found.count}, here LOCAL_RANK "
                f"{found.local} of {found.local_count}.",
                "Start all processes by torchrun, or in a PyTorchJob.",
            )
        return found

    def share(self, batch: int) -> int:
        """Rows of a step that each process takes, so that the step stays what it is for one.

        Raises:
            TrainingError: they cannot share it evenly.
        """
        if batch % self.count:
            raise TrainingError(
                f"A batch of {batch} cannot be shared evenly by {self.count} processes.",
                f"Choose a multiple of {self.count}.",
            )
        return batch // self.count

    def arguments(self, *, shared: bool = False) -> dict[str, Any]:
        """What transformers' Trainer has to be told.

        Args:
            shared: whether all machines see the checkpoints.
        """
        import torch

        gpu = torch.cuda.is_available()
        if self.count == 1:
            return {}
        return {
            "use_cpu": not gpu,
            "ddp_backend": _backend(),
            "ddp_find_unused_parameters": False,
            "ddp_timeout": _patience(shared=shared),
            # Else each machine reads the best checkpoint from its own disk.
            "save_on_each_node": not shared,
        }

    @contextmanager
    def scratch(self, prefix: str) -> Iterator[Path]:
        """A folder that the processes of this machine share, and that goes at the end."""
        if self.count == 1:
            with TemporaryDirectory(prefix=prefix) as own:
                yield Path(own)
            return
        # torchrun is the parent of all that it started here; in a pod there is one process.
        named = [os.environ.get(name, "") for name in ("MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")]
        folder = Path(gettempdir()) / f"{prefix}{'-'.join(named)}-{os.getppid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise TrainingError(
                f"{folder} was made by somebody else.", "Remove it, or set TMPDIR to a folder."
            )
        try:
            yield folder
        finally:
            if self.local == 0:
                rmtree(folder, ignore_errors=True)

    def meet(self, folder: Path, what: str) -> None:
        """Until all processes of this machine have come here; before torch knows of the others.

        Args:
            folder: that they share.
            what: tells this meeting from others.
        """
        if self.local_count == 1:
            return
        (folder / f"{what}-{self.local}").touch()
        others = [folder / f"{what}-{one}" for one in range(self.local_count)]
        # Where one of them is lost, torchrun ends the others.
        while not all(path.exists() for path in others):
            time.sleep(_POLL)

    def join(self, *, shared: bool) -> None:
        """Meet the others of a torchrun that may start all of them again.

        Its store lives as long as it does, with the addresses of processes that are lost: what a
        later attempt writes has a name of its own.

        Args:
            shared: as for `arguments`.
        """
        import torch.distributed as dist

        kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        if self.count == 1 or dist.is_initialized() or not kept:
            return
        wait = timedelta(seconds=_patience(shared=shared))
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), self.count, timeout=wait
        )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        dist.init_process_group(
            _backend(),
            store=dist.PrefixStore(f"rampart-{attempt}", store),
            rank=self.rank,
            world_size=self.count,
            timeout=wait,
        )

    def wait(self) -> None:
        """Until all have come here; nothing where there are no others."""
        import torch.distributed

        if self.count > 1 and torch.distributed.is_initialized():
            torch.distributed.barrier()

    def sum(self, own: Any) -> Any:
        """A tensor's sum over all processes."""
        import torch.distributed

        if self.count > 1 and torch.distributed.is_initialized():
            torch.distributed.all_reduce(own)
        return own

    def told(self, said: T) -> T:
        """What the first process says, by each of them."""
        import torch.distributed

        if self.count == 1 or not torch.distributed.is_initialized():
            return said
        box = [said]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def leave(self, *, wait: bool = True) -> None:
        """Part from the others, when all are done or at once."""
        import torch.distributed

        if self.count > 1 and torch.distributed.is_initialized():
            if wait:
                torch.distributed.barrier()
            torch.distributed.destroy_process_group()


def _patience(*, shared: bool) -> int:
    """Seconds that a process waits for the others."""
    return _LOST_SECONDS if shared else _WAIT_SECONDS


def _backend() -> str:
    """What tensors are passed on by."""
    import torch

    return "nccl" if torch.cuda.is_available() else "gloo"
