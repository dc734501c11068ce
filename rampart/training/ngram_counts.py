"""In how many texts each n-gram occurs, counted on disk: memory is that of a batch.

Sorted runs of hashes with their counts are written as they fill up, and merged by ranges of hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.training.ngram_hashes import Hashes

Documents = NDArray[np.int64]

_HELD = 3_000_000  # Hashes in memory before they are written.
_RANGES = 64
HASHES, DOCUMENTS = ".hashes", ".documents"


class Spill:
    """Adds up counts of hashes and writes them, sorted, to files of a name of their own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._hashes: list[Hashes] = []
        self._documents: list[Documents] = []
        self._held = self._files = 0

    def add(self, hashes: Hashes, documents: Documents) -> None:
        """Count texts for different hashes."""
        self._hashes.append(hashes)
        self._documents.append(documents)
        self._held += len(hashes)
        if self._held >= _HELD:
            self._shrink()
            if self._held >= _HELD // 2:
                self.write()

    def write(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        self._shrink()
        stem = f"{self._name}-{self._files:03}"
        self._hashes[0].tofile(self._folder / f"{stem}{HASHES}")
        self._documents[0].astype(np.uint32).tofile(self._folder / f"{stem}{DOCUMENTS}")
        self._hashes, self._documents = [], []
        self._held, self._files = 0, self._files + 1

    def _shrink(self) -> None:
        hashes, documents = _summed(self._hashes, self._documents)
        self._hashes, self._documents, self._held = [hashes], [documents], len(hashes)


def frequent(folder: Path, name: str, min_documents: int, most: int) -> tuple[Hashes, Documents]:
    """The n-grams that are in the most texts, by hash; more than `most` where the last are tied.

    Args:
        folder: of the files that `Spill`s wrote.
        name: what their names begin with.
        min_documents: texts an n-gram must occur in.
        most: that are wanted.
    """
    files = sorted(folder.glob(f"{name}*{HASHES}"))
    counts = [path.with_name(path.name.removesuffix(HASHES) + DOCUMENTS) for path in files]
    step = 2**64 // _RANGES
    cuts = np.array([number * step for number in range(1, _RANGES)], dtype=np.uint64)
    bounds = [_bounds(path, cuts) for path in files]
    found = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    for number in range(_RANGES):
        parts = [(bound[number], bound[number + 1]) for bound in bounds]
        hashes, documents = _summed(
            [_read(path, np.uint64, part) for path, part in zip(files, parts, strict=True)],
            [_read(path, np.uint32, part) for path, part in zip(counts, parts, strict=True)],
        )
        often = documents >= min_documents
        found = (
            np.concatenate([found[0], hashes[often]]),
            np.concatenate([found[1], documents[often]]),
        )
        if len(found[0]) > most:
            least = np.partition(found[1], -most)[-most]
            found = found[0][found[1] >= least], found[1][found[1] >= least]
    return found


def _bounds(path: Path, cuts: Hashes) -> list[int]:
    """Where ranges of hashes begin and end in a file."""
    run = np.memmap(path, np.uint64, "r")
    return [0, *map(int, np.searchsorted(run, cuts)), len(run)]


def _read(path: Path, kind: type[np.unsignedinteger], part: tuple[int, int]) -> NDArray[Any]:
    """Some numbers of a file, which is open only meanwhile: there may be thousands of them."""
    begin, end = part
    return np.fromfile(path, kind, end - begin, offset=begin * np.dtype(kind).itemsize)


def _summed(
    hashes: Sequence[Hashes], counts: Sequence[NDArray[np.integer]]
) -> tuple[Hashes, Documents]:
    """Different hashes, ascending, and the sums of their counts."""
    if not hashes:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    joined = np.concatenate(hashes)
    order = np.argsort(joined, kind="stable")
    ordered = joined[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))[: len(ordered)]
    if not len(begins):
        return joined, np.zeros(0, dtype=np.int64)
    added = np.concatenate(counts).astype(np.int64)[order]
    return ordered[begins], np.add.reduceat(added, begins)
