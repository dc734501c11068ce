"""Logistic regression on a matrix that lies on disk, block of rows by block of rows.

The function minimised, the minimiser and when it stops are those of scikit-learn's
`LogisticRegression(solver="lbfgs", class_weight="balanced")`, so that the weights are, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rampart.models.cores import cores
from rampart.training.ngram import one_label

Floats = NDArray[np.float64]

_THREADS = 4
_WAITING = 2 * _THREADS  # Blocks that are in memory at once.


@dataclass(frozen=True)
class Fitted:
    """Weights and how they were found.

    Attributes:
        weight: float64 [columns].
        bias: added to every row.
        iterations: of L-BFGS.
        converged: whether it stopped of its own accord, not at the most iterations.
    """

    weight: Floats
    bias: float
    iterations: int
    converged: bool


class Blocks:
    """Blocks of rows in files: of each its CSR arrays, values in 32 bits, and its labels.

    Args:
        folder: of the files.
        columns: of the matrix.
        keep: bytes of blocks that stay in memory once read.
    """

    def __init__(self, folder: Path, columns: int, keep: int = 0) -> None:
        self.columns = columns
        self._stems = sorted(path.with_suffix("") for path in folder.glob("*.labels"))
        # In memory an entry takes 12 bytes, of which 4 are those of its index.
        sizes = [3 * stem.with_suffix(".indices").stat().st_size for stem in self._stems]
        self._keeps = int(np.searchsorted(np.cumsum(sizes), keep, side="right"))
        self._kept: dict[int, tuple[sp.csr_matrix, NDArray[np.int8]]] = {}

    @staticmethod
    def write(stem: Path, matrix: sp.csr_matrix, labels: NDArray[np.int8]) -> None:
        """Write one block; blocks are read in the order of their names."""
        np.diff(matrix.indptr).astype(np.int32).tofile(stem.with_suffix(".lengths"))
        matrix.indices.astype(np.int32).tofile(stem.with_suffix(".indices"))
        matrix.data.astype(np.float32).tofile(stem.with_suffix(".values"))
        labels.astype(np.int8).tofile(stem.with_suffix(".labels"))

    def __len__(self) -> int:
        return len(self._stems)

    def labels(self) -> NDArray[np.int8]:
        """Of all rows, int8 [n]."""
        parts = [np.fromfile(stem.with_suffix(".labels"), np.int8) for stem in self._stems]
        return np.concatenate([np.zeros(0, np.int8), *parts])

    def block(self, index: int) -> tuple[sp.csr_matrix, NDArray[np.int8]]:
        """A block of the matrix in float64, and its labels."""
        if index in self._kept:
            return self._kept[index]
        # Read and not mapped: what is mapped counts as this process's memory, and stays.
        stem = self._stems[index]
        lengths = np.fromfile(stem.with_suffix(".lengths"), np.int32)
        indptr = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
        indices = np.fromfile(stem.with_suffix(".indices"), np.int32)
        values = np.fromfile(stem.with_suffix(".values"), np.float32).astype(np.float64)
        labels = np.fromfile(stem.with_suffix(".labels"), np.int8)
        matrix = sp.csr_matrix((values, indices, indptr), shape=(len(lengths), self.columns))
        if index < self._keeps:
            self._kept[index] = matrix, labels
        return matrix, labels


def fit_logistic(
    blocks: Blocks,
    regularisation: float,
    *,
    tolerance: float = 1e-4,
    max_iterations: int = 2_000,
    threads: int | None = None,
    on_iteration: Callable[[int], None] = lambda _: None,
) -> Fitted:
    """Fit with classes weighted to equal mass.

    Args:
        blocks: the matrix and the labels.
        regularisation: scikit-learn's C.
        tolerance: largest slope of the mean loss at which it stops.
        max_iterations: of L-BFGS.
        threads: that work at once; as many as there are cores by default, four at the most.
        on_iteration: told how many are done.

    Raises:
        TrainingError: one class is missing.
    """
    from scipy.optimize import minimize

    labels = blocks.labels()
    counts = np.bincount(labels, minlength=2)
    if not counts.all():
        raise one_label(len(labels))
    share = 0.5 / counts  # Of the whole weight, for one text of each class.
    penalty = 1.0 / (regularisation * len(labels))
    done = 0

    def told(_: Any) -> None:
        nonlocal done
        done += 1
        on_iteration(done)

    with ThreadPoolExecutor(threads or min(_THREADS, cores())) as pool:

        def objective(point: Floats) -> tuple[float, Floats]:
            weight = point[:-1]
            loss, slope = 0.5 * penalty * float(weight @ weight), np.append(penalty * weight, 0.0)
            part = _Part(blocks, weight, float(point[-1]), share)
            for value, gradient in _in_turn(pool, part, range(len(blocks))):
                loss += value
                slope += gradient
            return loss, slope

        found = minimize(
            objective,
            np.zeros(blocks.columns + 1),
            method="L-BFGS-B",
            jac=True,
            callback=told,
            options={
                "maxiter": max_iterations,
                "maxls": 50,
                "gtol": tolerance,
                "ftol": 64 * np.finfo(float).eps,
            },
        )
    return Fitted(found.x[:-1], float(found.x[-1]), int(found.nit), bool(found.status == 0))


@dataclass(frozen=True)
class _Part:
    """One block's share of the loss and of its slope."""

    blocks: Blocks
    weight: Floats
    bias: float
    share: Floats

    def __call__(self, index: int) -> tuple[float, Floats]:
        matrix, labels = self.blocks.block(index)
        logit = matrix @ self.weight + self.bias
        mass = self.share[labels]
        loss = float(mass @ (np.logaddexp(0.0, logit) - labels * logit))
        # The logistic function by the hyperbolic tangent, which overflows for no logit.
        residual = mass * (0.5 * (1.0 + np.tanh(0.5 * logit)) - labels)
        return loss, np.append(matrix.T @ residual, residual.sum())


def _in_turn(
    pool: ThreadPoolExecutor, part: _Part, indices: Sequence[int]
) -> Iterator[tuple[float, Floats]]:
    """Parts in the blocks' order, so that sums do not depend on which thread was quicker."""
    waiting: deque[Future[tuple[float, Floats]]] = deque()
    for index in indices:
        waiting.append(pool.submit(part, index))
        if len(waiting) > _WAITING:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
