"""What all trials of a study need is computed once and kept on disk, for all workers to map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

import rampart
from rampart.settings import user_cache

Arrays = dict[str, NDArray[Any]]


def cache_folder(chosen: Path | None = None) -> Path:
    """Where it is kept: in the cache folder that was chosen, else in the user's."""
    return (chosen or user_cache()) / "tuning"


def kept(folder: Path, key: str, made: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """Arrays by name, mapped from disk; whoever comes first makes them and the others wait.

    Args:
        folder: where they are kept.
        key: of all that they are made from, a digest.
        made: makes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / key
    if not place.exists():
        with FileLock(f"{place}.lock"):
            if not place.exists():
                _write(place, made())
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(place.glob("*.npy"))}


def digest(*parts: object) -> str:
    """A key of values that say what they are."""
    return sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:32]


def code(*places: str) -> str:
    """A digest of files and folders of the library, so that what another version made is not taken.

    Args:
        places: relative to the package, such as `features` or `models/ngram.py`.
    """
    found = sha256()
    root = Path(rampart.__file__).parent
    for place in places:
        path = root / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(file.read_bytes())
    return found.hexdigest()


def _write(place: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """All of them under their name at once, or none."""
    part = Path(mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    try:
        for name, array in arrays.items():
            np.save(part / f"{name}.npy", array, allow_pickle=False)
        part.replace(place)
    finally:
        rmtree(part, ignore_errors=True)
