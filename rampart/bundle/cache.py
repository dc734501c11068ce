"""Bundles from anywhere, and what is made of them for this machine, kept once for all processes.

An entry is a folder named by its content: a bundle by its id, a derived file by a digest of all
that it is made from. So what is there is what was asked for, and nothing has to be asked again.
Whoever uses an entry holds a shared lock on it; whoever makes one holds an exclusive lock on its
name, so that processes that ask at once fetch it once; and what nobody holds goes when it has not
been used for long, or when the cache is over its limit, what was used longest ago first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rampart.bundle.remote import Fetching, RemoteBundle
from rampart.bundle.store import verify
from rampart.errors import BundleError, SourceError

BUNDLES, DERIVED = "bundles", "derived"
LIMIT = 4_000_000_000
DAYS = 30.0
Make = Callable[[Path], None]

_log = logging.getLogger("rampart.cache")
_KINDS = (BUNDLES, DERIVED)
_SUMS = "sums.json"
_EVICTED = ".evicted-"
_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Held:
    """An entry in use: it stays where it is until it is released, or the process ends.

    Attributes:
        folder: of the entry.
    """

    folder: Path
    _lock: int

    def release(self) -> None:
        """Let it be evicted."""
        os.close(self._lock)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is in the cache.

    Attributes:
        kind: `bundles` or `derived`.
        name: the bundle's id, or the digest of what it was made from.
        size: bytes on disk.
        used: when it was last asked for, seconds since the epoch.
        held: whether a process uses it.
    """

    kind: str
    name: str
    size: int
    used: float
    held: bool


class BundleCache:
    """A folder that any number of processes share."""

    def __init__(self, folder: Path, *, limit: int = LIMIT, days: float = DAYS) -> None:
        """Use a folder; it is made when something is to be kept.

        Args:
            folder: that holds this cache and nothing else; readable by its owner alone.
            limit: bytes; what is in use may be more.
            days: for which an entry that nobody asks for is kept.
        """
        self.folder = folder
        self.limit = limit
        self.days = days

    def bundle(self, address: str, on_progress: Fetching | None = None) -> Held:
        """A bundle from any address that fsspec reads, fetched unless it is there, and checked.

        Args:
            address: of the folder that holds bundle.json, such as s3://bucket/bundle.
            on_progress: called with bytes fetched so far and bytes in all.

        Raises:
            SourceError: it cannot be read, or the cache's folder cannot be written.
            MissingExtraError: the address needs a package that is not installed.
            BundleError: what is there is no whole bundle, or not what its manifest says.
        """
        remote = RemoteBundle(address)
        manifest = remote.manifest()

        def fetch(folder: Path) -> None:
            remote.fetch(manifest, folder, on_progress)

        try:
            return self._kept(BUNDLES, manifest.id, _whole, fetch)
        except OSError as error:
            raise SourceError(
                f"The cache folder {str(self.folder)!r} cannot be used: {error}.",
                "Name another folder for the cache.",
            ) from error

    def derived(self, key: str, make: Make) -> Held:
        """What `make` writes into the folder that it is given, kept by its key.

        Args:
            key: of all that it is made from, in letters and digits.
            make: writes files into a folder; called where none are there, or they were altered.

        Raises:
            OSError: the cache's folder cannot be written.
        """

        def made(folder: Path) -> None:
            make(folder)
            (folder / _SUMS).write_text(json.dumps(_sums(folder)), encoding="utf-8")

        return self._kept(DERIVED, key, _unaltered, made)

    def entries(self) -> list[Entry]:
        """What is there, used last first."""
        found = []
        for kind in _KINDS:
            for place in self._places(kind):
                with suppress(FileNotFoundError):
                    used = place.stat().st_mtime
                    found.append(Entry(kind, place.name, _size(place), used, _is_held(place)))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def evict(self, room: int = 0) -> list[Entry]:
        """Remove what was not used for long, then the longest unused till `room` bytes are free."""
        for kind in _KINDS:
            _clear(self.folder / kind, _EVICTED)
        entries = self.entries()
        total = sum(entry.size for entry in entries)
        oldest = time.time() - self.days * _SECONDS_A_DAY
        gone = []
        for entry in reversed(entries):
            over = total + room > self.limit
            if (over or entry.used < oldest) and _removed(self.folder / entry.kind / entry.name):
                total -= entry.size
                gone.append(entry)
        return gone

    def clear(self) -> list[Entry]:
        """Remove all that nobody uses."""
        return [
            entry for entry in self.entries() if _removed(self.folder / entry.kind / entry.name)
        ]

    def _places(self, kind: str) -> list[Path]:
        try:
            entries = list(os.scandir(self.folder / kind))
        except FileNotFoundError:
            return []
        return [Path(entry.path) for entry in entries if not entry.name.startswith(".")]

    def _kept(self, kind: str, name: str, whole: Callable[[Path], bool], make: Make) -> Held:
        """Hold the entry; made first if it is not there or not whole."""
        parent = self.folder / kind
        for folder in (self.folder, parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = parent / name
        if held := _hold(place, whole):
            return held
        with _locked(parent / f".{name}.lock"):
            # Another process may have made it while this one waited.
            if held := _hold(place, whole):
                return held
            _removed(place)
            # Of a process that was killed: whoever makes an entry holds its lock.
            _clear(parent, f".{name}.", but=f".{name}.lock")
            with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}.") as work:
                folder = Path(work) / "entry"
                folder.mkdir(mode=0o700)
                make(folder)
                self.evict(_size(folder))
                if not place.exists():
                    folder.rename(place)
            held = _hold(place, whole)
        if held is None:
            raise OSError(f"{place} is not whole, and in use")
        return held


class Holding:
    """What one user of the cache holds of it, to be released together."""

    def __init__(self, cache: BundleCache) -> None:
        self._cache = cache
        self._held: list[Held] = []

    def bundle(self, address: str) -> Path:
        """The folder of a bundle, as `BundleCache.bundle` finds it."""
        self._held.append(self._cache.bundle(address))
        return self._held[-1].folder

    def keep(self, key: str, make: Make) -> Path | None:
        """The folder of a derived file; None, and a warning, where nothing can be kept."""
        try:
            self._held.append(self._cache.derived(key, make))
        except OSError as error:
            _log.warning("Nothing can be kept in %s: %s", self._cache.folder, error)
            return None
        return self._held[-1].folder

    def release(self) -> None:
        """Let all of it be evicted."""
        while self._held:
            self._held.pop().release()


def _hold(place: Path, whole: Callable[[Path], bool]) -> Held | None:
    """A shared lock on an entry that is there and whole."""
    while True:
        try:
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _still(place, lock):
            # It was evicted between the two calls, and another may have been made since.
            os.close(lock)
            continue
        try:
            good = whole(place)
        except BaseException:
            os.close(lock)
            raise
        if not good:
            os.close(lock)
            return None
        with suppress(OSError):  # a cache that is mounted for reading only serves all the same
            os.utime(place)
        return Held(place, lock)


def _still(place: Path, lock: int) -> bool:
    try:
        return os.path.samestat(place.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The only one to make what the lock is named after."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_held(place: Path) -> bool:
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _removed(place: Path) -> bool:
    """Remove an entry unless a process uses it; whether it is gone."""
    try:
        lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Out of the way in one step, so that nobody finds half of it.
        away = Path(tempfile.mkdtemp(dir=place.parent, prefix=_EVICTED))
        place.rename(away / "entry")
        shutil.rmtree(away, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _clear(parent: Path, prefix: str, but: str = "") -> None:
    """Remove what was left half made or half removed."""
    with suppress(FileNotFoundError):
        for entry in list(os.scandir(parent)):
            if entry.name.startswith(prefix) and entry.name != but:
                shutil.rmtree(entry.path, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _whole(folder: Path) -> bool:
    try:
        verify(folder)
    except BundleError:
        return False
    return True


def _sums(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _SUMS:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = digest
    return found


def _unaltered(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _SUMS).read_text(encoding="utf-8")) == _sums(folder))
    except (OSError, ValueError):
        return False
