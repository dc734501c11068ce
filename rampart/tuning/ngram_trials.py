"""Trials of the n-gram model: n-grams are counted once, and a trial fits on their counts.

A trial's steps are ninths of the training texts: it fits on one ninth of each fold, on a third, and
on all. The pruner sees the mean over the folds, so that a lucky fold saves nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rampart.errors import TrainingError
from rampart.models.base import Floats, Ints
from rampart.models.ngram import Block, NgramModel, NgramSettings, tokens
from rampart.training.ngram import NgramTraining, _character_counts, _word_counts
from rampart.tuning.figures import cost_of, recall
from rampart.tuning.kept import Arrays, code, digest, kept
from rampart.tuning.pool import Fold, Pool
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.spaces import PARTS
from rampart.tuning.steps import Steps

_LONGEST = 3
_LEAST = 2
_SHARES = (1, 3, PARTS)
_CODE = ("models/ngram.py", "training/ngram.py", "data/cleaning.py", "tuning/ngram_trials.py")


@dataclass(frozen=True)
class Counts:
    """How often each n-gram occurs in each text of the pool, its columns in the names' order.

    Attributes:
        matrix: counts, [texts, n-grams], for those in at least two texts of the pool.
        lengths: words in each n-gram, [n-grams]; 0 for characters.
        names: UTF-8, one behind the other.
        ends: where each name ends.
    """

    matrix: sp.csr_matrix
    lengths: NDArray[np.int8]
    names: NDArray[np.uint8]
    ends: Ints

    @classmethod
    def of(cls, arrays: Arrays, kind: str) -> Counts:
        """Of words or characters."""
        rows = arrays[f"{kind}_indptr"]
        shape = (len(rows) - 1, len(arrays[f"{kind}_lengths"]))
        csr = tuple(arrays[f"{kind}_{part}"] for part in ("data", "indices", "indptr"))
        return cls(
            sp.csr_matrix(csr, shape=shape, copy=False),
            arrays[f"{kind}_lengths"],
            arrays[f"{kind}_names"],
            arrays[f"{kind}_ends"],
        )

    def vocabulary(self, columns: Ints) -> dict[str, int]:
        """Names of columns to their place."""
        begins = np.append(0, self.ends[:-1])
        names = bytes(self.names)
        return {
            names[begins[column] : self.ends[column]].decode("utf-8", "surrogatepass"): place
            for place, column in enumerate(columns.tolist())
        }


@dataclass(frozen=True)
class _Weighing:
    """Which n-grams a fit has taken, and their inverse document frequency."""

    columns: Ints
    idf: Floats

    @classmethod
    def of(
        cls, rows: sp.csr_matrix, lengths: NDArray[np.int8], training: NgramTraining
    ) -> _Weighing:
        documents = np.bincount(rows.indices, minlength=rows.shape[1])
        frequent = np.flatnonzero(
            (documents >= training.min_documents) & (lengths <= training.ngrams.words)
        )
        # Columns are in the names' order: those of equal frequency stay in it.
        order = np.argsort(-documents[frequent], kind="stable")
        columns = frequent[order][: training.max_features]
        idf: Floats = np.log((1.0 + rows.shape[0]) / (1.0 + documents[columns])) + 1.0
        return cls(columns, idf)

    def __call__(self, rows: sp.csr_matrix) -> sp.csr_matrix:
        matrix = sp.csr_matrix(rows[:, self.columns], dtype=np.float64)
        matrix.data = (1.0 + np.log(matrix.data)) * self.idf[matrix.indices]
        length = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
        matrix.data /= np.repeat(np.where(length, length, 1.0), np.diff(matrix.indptr))
        return matrix


@dataclass(frozen=True)
class NgramPool:
    """The pool as the n-gram model counts it."""

    pool: Pool
    words: Counts
    characters: Counts

    @classmethod
    def of(cls, pool: Pool, cache: Path) -> NgramPool:
        """Count, or map what was counted before."""
        key = digest("ngram", pool.fingerprint, _LONGEST, NgramSettings().characters, code(*_CODE))
        arrays = kept(cache, key, lambda: _counted(pool))
        return cls(pool, Counts.of(arrays, "words"), Counts.of(arrays, "characters"))

    def fit(self, train: Ints, scored: Ints, training: NgramTraining) -> tuple[Floats, _Fitted]:
        """Fit on rows of the pool; logits of others, and what makes a model of it.

        Raises:
            TrainingError: no n-gram is frequent enough.
        """
        from sklearn.linear_model import LogisticRegression

        parts = []
        for counts in (self.words, self.characters):
            rows = counts.matrix[train]
            parts.append((counts, rows, _Weighing.of(rows, counts.lengths, training)))
        matrix = sp.hstack([weigh(rows) for _, rows, weigh in parts], format="csr")
        if not matrix.shape[1]:
            raise TrainingError(
                f"No n-gram occurs in {training.min_documents} of the {len(train)} texts.",
                "Lower min_documents.",
            )
        head = LogisticRegression(
            C=training.regularisation,
            class_weight="balanced",
            max_iter=training.max_iterations,
            tol=training.tolerance,
        ).fit(matrix, self.pool.rows.labels[train])
        other = sp.hstack([weigh(counts.matrix[scored]) for counts, _, weigh in parts])
        weight: Floats = head.coef_[0].astype(np.float64)
        logit: Floats = other @ weight + float(head.intercept_[0])
        weighings = tuple(weigh for _, _, weigh in parts)
        return logit, _Fitted(weighings, weight, float(head.intercept_[0]))

    def model(self, fitted: _Fitted, training: NgramTraining) -> NgramModel:
        """The model as it is served."""
        blocks, begin = [], 0
        for counts, weigh in zip((self.words, self.characters), fitted.weighings, strict=True):
            end = begin + len(weigh.columns)
            vocabulary = counts.vocabulary(weigh.columns)
            blocks.append(Block(vocabulary, weigh.idf, fitted.weight[begin:end]))
            begin = end
        return NgramModel(
            settings=training.ngrams, words=blocks[0], characters=blocks[1], bias=fitted.bias
        )


@dataclass(frozen=True)
class _Fitted:
    weighings: tuple[_Weighing, ...]
    weight: Floats
    bias: float


def training_of(parameters: Parameters) -> NgramTraining:
    """The training's settings from the pipeline's parameters."""
    given = dict(parameters)
    words = int(given.get("ngram_words", NgramSettings().words))
    plain = NgramTraining()
    return NgramTraining(
        ngrams=NgramSettings(words=words),
        regularisation=float(given.get("ngram_regularisation", plain.regularisation)),
        min_documents=int(given.get("ngram_min_documents", plain.min_documents)),
        max_features=int(given.get("ngram_max_features", plain.max_features)),
    )


def ngram_trial(
    counted: NgramPool,
    folds: list[Fold],
    settings: StudySettings,
    parameters: Parameters,
    steps: Steps,
) -> dict[str, float]:
    """Figures of one set of parameters: the mean over the folds.

    Raises:
        TrainingError: a fold cannot be fitted.
        HaltedError: the worker was asked to stop.
        optuna.TrialPruned: others did better on fewer texts.
    """
    training = training_of(parameters)
    labels = counted.pool.rows.labels
    figure, fitted = 0.0, None
    for ninths in _SHARES if steps.prunes else (PARTS,):
        found = []
        for fold in folds:
            steps.check()
            whole = ninths == PARTS
            train = fold.train if whole else fold.part(ninths / PARTS, labels, settings.seed)
            logit, fitted = counted.fit(train, fold.judged, training)
            found.append(recall(logit, labels[fold.judged]))
        figure = float(np.mean(found))
        steps(ninths, figure)
    figures = {"recall": figure}
    if "cost" in settings.objectives and fitted is not None:
        texts = counted.pool.rows.rows(folds[-1].judged).aligned()
        figures["cost"] = cost_of(counted.model(fitted, training), texts)
    return figures


def _counted(pool: Pool) -> Arrays:
    split = [tokens(text) for text in pool.rows.texts]
    found: Arrays = {}
    for kind, (matrix, names) in (
        ("words", _word_counts(split, _LONGEST)),
        ("characters", _character_counts(split, NgramSettings().characters)),
    ):
        documents = np.bincount(matrix.indices, minlength=len(names))
        chosen = [column for column, name in enumerate(names) if documents[column] >= _LEAST]
        chosen.sort(key=names.__getitem__)
        few = sp.csr_matrix(matrix[:, chosen])
        few.sort_indices()
        encoded = [names[column].encode("utf-8", "surrogatepass") for column in chosen]
        # Of characters all lengths are taken.
        runs = [names[column].count(" ") + 1 if kind == "words" else 0 for column in chosen]
        found |= {
            f"{kind}_data": few.data.astype(np.int32),
            f"{kind}_indices": few.indices.astype(np.int32),
            f"{kind}_indptr": few.indptr.astype(np.int32),
            f"{kind}_lengths": np.array(runs, dtype=np.int8),
            f"{kind}_names": np.frombuffer(b"".join(encoded), dtype=np.uint8),
            f"{kind}_ends": np.cumsum([len(name) for name in encoded], dtype=np.int64),
        }
    return found
