"""Fitting the n-gram model on a table larger than memory: the same model as `fit_ngram`.

The texts are read three times: to count in how many each n-gram occurs, to learn the names of
those that are kept, and to write the TF-IDF matrix in blocks to disk, on which the head is fitted.
Values on disk have 32 bits, in `fit_ngram` 64: that is all that differs, beside the chance of two
n-grams with one hash.
"""

from __future__ import annotations

import heapq
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import scipy.sparse as sp
from numpy.typing import NDArray

from rampart.data.parallel import Workers
from rampart.data.shards import read_batches, shard_paths
from rampart.data.step import Progress
from rampart.models.base import Floats
from rampart.models.ngram import Block, NgramModel
from rampart.training.logistic import Blocks, fit_logistic
from rampart.training.ngram import NgramTraining, no_ngram, one_label, smoothed_idf
from rampart.training.ngram_counts import DOCUMENTS, HASHES, Spill, frequent
from rampart.training.ngram_hashes import KINDS, Hashes, count

KEEP = 2**30
"""Bytes of the matrix that stay in memory; the rest is read from disk at each step."""

_BATCH = 1_000
Stage = Callable[[str], Progress]


@dataclass(frozen=True)
class _Task:
    """What is done with one shard, in whichever process.

    Attributes:
        path: of the shard.
        number: of the shard.
        column: the split.
        part: of the split that is read.
        settings: of the fit.
        work: folder for what is written.
    """

    path: str
    number: int
    column: str
    part: str
    settings: NgramTraining
    work: Path

    def texts(self) -> Iterator[tuple[list[str], NDArray[np.int8]]]:
        """Batches of texts and labels of the part."""
        for batch in read_batches(self.path, ["clean", "label", self.column], batch_size=_BATCH):
            chosen = batch.filter(pc.equal(batch.column(self.column), self.part))
            if chosen.num_rows:
                labels = chosen.column("label").to_numpy(zero_copy_only=False)
                yield chosen.column("clean").to_pylist(), labels.astype(np.int8)


def fit_ngram_stream(
    table: str | Path,
    *,
    column: str = "split",
    part: str = "train",
    settings: NgramTraining | None = None,
    processes: int = 1,
    work: Path | None = None,
    keep: int = KEEP,
    stage: Stage = lambda _: lambda __, ___: None,
) -> NgramModel:
    """Fit on a part of a split table that lies in shards.

    Args:
        table: folder of shards, or a single Parquet file.
        column: the split.
        part: of it to fit on.
        settings: of the fit.
        processes: that read texts at once, each a shard.
        work: folder for counts and matrix, some 20 KB a text; a temporary one by default.
        keep: bytes of the matrix that stay in memory.
        stage: told each step.

    Raises:
        DataError: the table or one of its columns cannot be read.
        TrainingError: one class is missing, or no n-gram is frequent enough.
    """
    settings = settings or NgramTraining()
    paths = shard_paths(table)
    with tempfile.TemporaryDirectory(prefix="ngrams-", dir=work) as folder:
        tasks = [
            _Task(path, number, column, part, settings, Path(folder))
            for number, path in enumerate(paths)
        ]
        # Their memory is the head's before it is fitted.
        with Workers(min(processes, len(paths))) as workers:
            vocabularies, idfs = _matrix(tasks, workers, settings, stage)
        columns = [len(names) for names in vocabularies]
        tell = stage("Fitting the head")
        fitted = fit_logistic(
            Blocks(Path(folder), sum(columns), keep),
            settings.regularisation,
            tolerance=settings.tolerance,
            max_iterations=settings.max_iterations,
            on_iteration=lambda done: tell(done, 0),
        )
    if not fitted.converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"lbfgs failed to converge in {fitted.iterations} iterations; raise max_iterations or "
            "tolerance.",
            ConvergenceWarning,
            stacklevel=2,
        )
    weights = np.split(fitted.weight, [columns[0]])
    words, characters = (
        Block({name: index for index, name in enumerate(names)}, idf, weight)
        for names, idf, weight in zip(vocabularies, idfs, weights, strict=True)
    )
    return NgramModel(
        settings=settings.ngrams, words=words, characters=characters, bias=fitted.bias
    )


def _matrix(
    tasks: list[_Task], workers: Workers, settings: NgramTraining, stage: Stage
) -> tuple[list[list[str]], list[Floats]]:
    """Write the matrix into files; gives each kind's n-grams and their idf."""
    labels = _counted(tasks, workers, stage("Counting n-grams"))
    texts = int(labels.sum())
    if not labels.all():
        raise one_label(texts)
    vocabularies = _named(tasks, workers, stage("Naming n-grams"))
    if not any(names for names, _ in vocabularies):
        raise no_ngram(settings, texts)
    idfs = [smoothed_idf(texts, documents) for _, documents in vocabularies]
    for kind, idf in zip(KINDS, idfs, strict=True):
        np.save(tasks[0].work / f"{kind}.idf.npy", idf)
    tell = stage("Weighing n-grams")
    for done, _ in enumerate(workers.in_order(_write_blocks, tasks), start=1):
        tell(done, len(tasks))
    return [names for names, _ in vocabularies], idfs


def _counted(tasks: list[_Task], workers: Workers, tell: Progress) -> NDArray[np.int64]:
    """Count n-grams into files; gives the texts of each label."""
    labels = np.zeros(2, dtype=np.int64)
    for done, found in enumerate(workers.in_order(_count_shard, tasks), start=1):
        labels += found
        tell(done, len(tasks))
    return labels


def _count_shard(task: _Task) -> NDArray[np.int64]:
    spills = [Spill(task.work, f"{kind}-{task.number:05}") for kind in KINDS]
    labels = np.zeros(2, dtype=np.int64)
    for texts, found in task.texts():
        labels += np.bincount(found, minlength=2)
        for spill, counted in zip(spills, count(texts, task.settings.ngrams), strict=True):
            documents = np.bincount(counted.counts().indices, minlength=len(counted.hashes))
            spill.add(counted.hashes, documents)
    for spill in spills:
        spill.write()
    return labels


def _named(
    tasks: list[_Task], workers: Workers, tell: Progress
) -> list[tuple[list[str], NDArray[np.int64]]]:
    """Each kind's n-grams, most frequent first and then by name, and the texts they occur in.

    Their hashes, ascending, and the columns that these have go to files.
    """
    work, settings = tasks[0].work, tasks[0].settings
    most = settings.max_features
    found = [frequent(work, f"{kind}-", settings.min_documents, most) for kind in KINDS]
    for path in (*work.glob(f"*{HASHES}"), *work.glob(f"*{DOCUMENTS}")):
        path.unlink()
    for kind, (hashes, documents) in zip(KINDS, found, strict=True):
        np.save(work / f"{kind}.candidates.npy", np.stack([hashes, documents.astype(np.uint64)]))
    names: list[dict[int, str]] = [{} for _ in KINDS]
    missing = [np.ones(len(hashes), dtype=bool) for hashes, _ in found]

    def wanted() -> Iterator[tuple[_Task, list[NDArray[np.bool_]]]]:
        for task in tasks:
            if any(one.any() for one in missing):
                yield task, [one.copy() for one in missing]

    for done, learned in enumerate(workers.in_order(_name_shard, wanted()), start=1):
        for known, still, new, (_, documents) in zip(names, missing, learned, found, strict=True):
            seen, best = new
            known.update(best)
            still[seen] = False
            _keep_best(known, documents, most)
        tell(done, len(tasks))
    result = []
    for kind, (hashes, documents), known in zip(KINDS, found, names, strict=True):
        order = _best(known, documents, most)
        kept = np.array(order, dtype=np.int64)
        column = np.argsort(hashes[kept])
        np.save(work / f"{kind}.kept.npy", hashes[kept][column])
        np.save(work / f"{kind}.columns.npy", column)
        result.append(([known[row] for row in order], documents[kept]))
    return result


def _best(known: dict[int, str], documents: NDArray[np.integer], most: int) -> list[int]:
    """The candidates of those with a name that come first: most frequent, and then by name."""
    return heapq.nsmallest(most, known, key=lambda row: (-int(documents[row]), known[row]))


def _keep_best(known: dict[int, str], documents: NDArray[np.integer], most: int) -> None:
    """Forget names that cannot be kept, however many n-grams are tied with the last one."""
    if len(known) > 2 * most:
        for row in known.keys() - set(_best(known, documents, most)):
            del known[row]


Learned = tuple[NDArray[np.int64], dict[int, str]]


def _name_shard(given: tuple[_Task, list[NDArray[np.bool_]]]) -> list[Learned]:
    """Candidates without a name that occur in a shard, and the names of the best of them."""
    task, missing = given
    tables = [np.load(task.work / f"{kind}.candidates.npy") for kind in KINDS]
    before = [one.copy() for one in missing]
    names: list[dict[int, str]] = [{} for _ in KINDS]
    for texts, _ in task.texts():
        for (wanted, documents), still, known, counted in zip(
            tables, missing, names, count(texts, task.settings.ngrams), strict=True
        ):
            rows, places = _places(wanted, counted.hashes)
            new = still[places]
            for row, place in zip(rows[new].tolist(), places[new].tolist(), strict=True):
                known[place] = counted.name(row)
            still[places] = False
            _keep_best(known, documents.astype(np.int64), task.settings.max_features)
    return [
        (np.flatnonzero(was & ~still), known)
        for was, still, known in zip(before, missing, names, strict=True)
    ]


def _places(table: Hashes, hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the hashes are in an ascending table, and where."""
    if not len(table):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
    rows = np.flatnonzero(table[place] == hashes)
    return rows, place[rows]


def _write_blocks(task: _Task) -> int:
    """Write a shard's rows of the matrix; gives how many there are."""
    tables = [
        tuple(np.load(task.work / f"{kind}.{name}.npy") for name in ("kept", "columns", "idf"))
        for kind in KINDS
    ]
    rows = 0
    for number, (texts, labels) in enumerate(task.texts()):
        counted = count(texts, task.settings.ngrams)
        parts = []
        for (hashes, columns, idf), one in zip(tables, counted, strict=True):
            found, places = _places(hashes, one.hashes)
            parts.append(_weighed(one.counts(), found, columns[places], idf))
        matrix = sp.hstack(parts, format="csr")
        Blocks.write(task.work / f"block-{task.number:05}-{number:05}", matrix, labels)
        rows += len(labels)
    return rows


def _weighed(
    counts: sp.csr_matrix, found: NDArray[np.int64], columns: NDArray[np.int64], idf: Floats
) -> sp.csr_matrix:
    """TF-IDF of the kept n-grams as `fit_ngram` has it: sublinear, by idf, rows of length one."""
    column = np.full(counts.shape[1], -1, dtype=np.int64)
    column[found] = columns
    entries = counts.tocoo()
    kept = column[entries.col] >= 0
    rows, ids = entries.row[kept], column[entries.col[kept]]
    values = (1.0 + np.log(entries.data[kept])) * idf[ids]
    length = np.sqrt(np.bincount(rows, weights=values * values, minlength=counts.shape[0]))
    values /= length[rows]
    return sp.csr_matrix((values, (rows, ids)), shape=(counts.shape[0], len(idf)))
