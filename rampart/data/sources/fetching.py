"""One file fetched by a package manager's client: once, watched, and kept whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from rampart.data.step import Progress
from rampart.errors import SourceError

SECONDS_WITHOUT_PROGRESS = 120
POLL_SECONDS = 0.2

T = TypeVar("T")


def kept_or_fetched(
    kept: Path, whole: Callable[[Path], T | None], fetch: Callable[[Path], Path]
) -> T:
    """What a kept file holds, fetched first if it is not there or not whole.

    Processes that ask at the same time fetch it once: the others wait.

    Args:
        kept: the file; its folder is made if it is not there.
        whole: reads a file; None where it is not there or not what it should be.
        fetch: puts the file anywhere into the folder given and says where; raises a `SourceError`
            where it is not what it should be.

    Raises:
        SourceError: it cannot be fetched or kept.
    """
    from filelock import FileLock

    if content := whole(kept):
        return content
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.parent / f"{kept.name}.lock"):
            # Another process may have fetched it while this one waited.
            if not (content := whole(kept)):
                _fetch_into_place(kept, fetch)
                content = whole(kept)
    except OSError as error:
        raise SourceError(
            f"The cache folder {str(kept.parent)!r} cannot be used: {error}.",
            "Name another folder for the cache.",
        ) from error
    if not content:
        raise SourceError(f"The file {str(kept)!r} was altered while it was put there.")
    return content


def _fetch_into_place(kept: Path, fetch: Callable[[Path], Path]) -> None:
    prefix = f".fetching-{kept.name}-"
    # Of a process that was killed: whoever fetches holds the lock.
    for left in kept.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    # Beside the cache, so that moving the file there is one step.
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=prefix) as folder:
        fetch(Path(folder)).replace(kept)


def run_watched(
    call: Sequence[str], work: Path, size: int, on_progress: Progress | None
) -> tuple[int | None, list[str]]:
    """Run a client in a folder of its own; what it downloads grows there, and can be watched.

    Args:
        call: program and arguments; no shell reads them.
        work: the folder.
        size: bytes there in the end, about; used to show progress.
        on_progress: called with bytes there so far and bytes in all.

    Returns:
        The exit code, None where nothing came for too long and the client was ended, and the lines
        that it wrote on standard error.

    Raises:
        OSError: the program cannot be run.
    """
    errors = work / "errors.txt"
    code: int | None = None
    with errors.open("wb") as log, _running(call, work, log.fileno()) as process:
        last, seen = time.monotonic(), -1
        while (code := process.poll()) is None:
            found = _size(work)
            if found != seen:
                last, seen = time.monotonic(), found
                if on_progress:
                    on_progress(min(found, size), size)
            if time.monotonic() - last > SECONDS_WITHOUT_PROGRESS:
                break
            time.sleep(POLL_SECONDS)
    return code, errors.read_text("utf-8", "replace").splitlines()


@contextmanager
def _running(call: Sequence[str], work: Path, log: int) -> Iterator[subprocess.Popen[Any]]:
    process = subprocess.Popen(  # noqa: S603 - a fixed list of arguments, no shell
        call, cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _size(folder: Path) -> int:
    """Bytes in a folder whose files come and go."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total
