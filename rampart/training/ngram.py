"""Fitting the n-gram model: vocabulary by document frequency, logistic regression on TF-IDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rampart.errors import TrainingError
from rampart.models.base import Floats
from rampart.models.ngram import (
    Block,
    NgramModel,
    NgramSettings,
    character_ngrams,
    tokens,
    word_ngrams,
)


class NgramTraining(BaseModel):
    """How the n-gram model is fitted.

    Attributes:
        ngrams: which n-grams are features.
        regularisation: scikit-learn's C; larger fits closer.
        min_documents: texts an n-gram must occur in.
        max_features: most frequent n-grams kept, of words and of characters each.
        tolerance: largest slope of the mean loss at which fitting stops.
        max_iterations: of L-BFGS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngrams: NgramSettings = NgramSettings()
    regularisation: float = Field(default=100.0, gt=0)
    min_documents: int = Field(default=2, ge=1)
    max_features: int = Field(default=150_000, ge=1)
    tolerance: float = Field(default=1e-4, gt=0)
    max_iterations: int = Field(default=2_000, ge=1)


def fit_ngram(
    texts: Sequence[str], labels: NDArray[np.int8], settings: NgramTraining | None = None
) -> NgramModel:
    """Fit on clean texts, labels 0 and 1 [n], classes weighted to equal mass.

    Raises:
        TrainingError: one class is missing, or no n-gram is frequent enough.
    """
    from sklearn.linear_model import LogisticRegression

    settings = settings or NgramTraining()
    if len(set(labels.tolist())) < 2:
        raise one_label(len(labels))
    split = [tokens(text) for text in texts]
    limits = settings.ngrams

    counted = [_word_counts(split, limits.words), _character_counts(split, limits.characters)]
    blocks = [_weigh(matrix, names, settings) for matrix, names in counted]
    matrix = sp.hstack([block.matrix for block in blocks], format="csr")
    if not matrix.shape[1]:
        raise no_ngram(settings, len(texts))
    model = LogisticRegression(
        C=settings.regularisation,
        class_weight="balanced",
        max_iter=settings.max_iterations,
        tol=settings.tolerance,
    ).fit(matrix, labels)
    weight: Floats = model.coef_[0].astype(np.float64)
    cut = len(blocks[0].vocabulary)
    return NgramModel(
        settings=limits,
        words=Block(blocks[0].vocabulary, blocks[0].idf, weight[:cut]),
        characters=Block(blocks[1].vocabulary, blocks[1].idf, weight[cut:]),
        bias=float(model.intercept_[0]),
    )


def one_label(texts: int) -> TrainingError:
    """The error of training texts that have no other label, or none at all."""
    return TrainingError(
        f"All {texts} training texts have one label.",
        "Give texts of both classes, 0 for harmless and 1 for threats.",
    )


def no_ngram(settings: NgramTraining, texts: int) -> TrainingError:
    """The error of training texts that have nothing in common."""
    return TrainingError(
        f"No n-gram occurs in {settings.min_documents} of the {texts} training texts.",
        "Give more texts, or lower min_documents.",
    )


def smoothed_idf(texts: int, documents: NDArray[np.int64]) -> Floats:
    """Inverse document frequency as if one text more held every n-gram, float64 [v]."""
    idf: Floats = np.log((1.0 + texts) / (1.0 + documents)) + 1.0
    return idf


class _Weighed(NamedTuple):
    """One block: its vocabulary, smoothed idf, and the TF-IDF of each text, rows of length one."""

    vocabulary: dict[str, int]
    idf: Floats
    matrix: sp.csr_matrix


def _word_counts(split: Sequence[list[str]], longest: int) -> tuple[sp.csr_matrix, list[str]]:
    """How often each run of words occurs in each text, [n, runs], and the runs."""
    return _counts(Counter(word_ngrams(words, longest)) for words in split)


def _character_counts(
    split: Sequence[list[str]], lengths: tuple[int, int] | None
) -> tuple[sp.csr_matrix, list[str]]:
    """How often each character n-gram occurs in each text, [n, n-grams], and the n-grams.

    Words are few and come again and again: their n-grams are counted once, and a text's are the
    product of its words and theirs.
    """
    words_of_texts, words = _counts(Counter(words) for words in split)
    grams_of_words, grams = _counts(
        Counter(character_ngrams(word, *lengths) if lengths else ()) for word in words
    )
    return sp.csr_matrix(words_of_texts @ grams_of_words), grams


def _counts(rows: Iterable[Counter[str]]) -> tuple[sp.csr_matrix, list[str]]:
    ids: dict[str, int] = {}
    indptr: list[int] = [0]
    indices: list[int] = []
    data: list[int] = []
    for row in rows:
        indices += [ids.setdefault(name, len(ids)) for name in row]
        data += row.values()
        indptr.append(len(indices))
    shape = (len(indptr) - 1, len(ids))
    return sp.csr_matrix((np.array(data, dtype=np.float64), indices, indptr), shape), list(ids)


def _weigh(counts: sp.csr_matrix, names: list[str], settings: NgramTraining) -> _Weighed:
    """Keep the most frequent n-grams and weigh their counts: sublinear, by idf, to length one."""
    texts = counts.shape[0]
    documents = np.bincount(counts.indices, minlength=len(names))
    frequent = np.flatnonzero(documents >= settings.min_documents)
    kept = sorted(frequent.tolist(), key=lambda row: (-documents[row], names[row]))
    kept = kept[: settings.max_features]
    idf = smoothed_idf(texts, documents[kept])
    matrix = sp.csr_matrix(counts[:, kept])
    matrix.data = (1.0 + np.log(matrix.data)) * idf[matrix.indices]
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    matrix.data /= np.repeat(np.where(length, length, 1.0), np.diff(matrix.indptr))
    return _Weighed({names[row]: index for index, row in enumerate(kept)}, idf, matrix)
