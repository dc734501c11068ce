"""Writing a folder that takes its place whole: old or new at every instant, never half of one."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Of Linux's renameat2(2).
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write in, which takes its place when the block ends well.

    An earlier `target` stays as it was until then; when the block fails, it stays for good. What
    a writer left that was killed is cleared away by the next one. Whether `target` may be replaced
    is the caller's to say.
    """
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    folder, lock = _new_folder(target)
    try:
        yield folder
        _into_place(folder, target)
    finally:
        os.close(lock)
        _remove(folder)


def _new_folder(target: Path) -> tuple[Path, int]:
    """A new folder, and the lock that says that its writer lives."""
    while True:
        name = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        folder = Path(name)
        lock = os.open(folder, os.O_RDONLY)
        # A file system without locks has nothing cleared away either.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another writer may have cleared it away between its making and its locking.
        if folder.exists():
            folder.chmod(0o755)
            return folder, lock
        os.close(lock)


def _clear_leftovers(target: Path) -> None:
    """Remove the folders of killed writers: those that nobody holds a lock on."""
    # Not by a glob: a name may hold what a pattern gives a meaning to.
    for entry in list(os.scandir(target.parent)):
        if not (entry.name.startswith(f".{target.name}.") and entry.name.endswith(".part")):
            continue
        with suppress(OSError):
            lock = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(Path(entry.path))
            finally:
                os.close(lock)


def _into_place(folder: Path, target: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if not target.exists():
        folder.rename(target)
    elif not _exchange(folder, target):
        # Elsewhere a folder cannot be renamed over another: for an instant there is none.
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
        target.rename(old / "replaced")
        folder.rename(target)
        _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths swap what they name, in one step; says whether this system can."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and (
        rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0
    )


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
