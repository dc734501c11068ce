"""Fitting the n-gram model: vocabulary by document frequency, logistic regression on TF-IDF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngrams: NgramSettings = NgramSettings()
    regularisation: float = Field(default=30.0, gt=0)
    min_documents: int = Field(default=2, ge=1)
    max_features: int = Field(default=150_000, ge=1)


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
        raise TrainingError(
            f"All {len(labels)} training texts have one label.",
            "Give texts of both classes, 0 for harmless and 1 for threats.",
        )
    split = [[token for token, _, _ in tokens(text)] for text in texts]
    limits = settings.ngrams

    def word_grams(words: list[str]) -> Iterable[str]:
        return (gram for gram, _, _ in word_ngrams(words, limits.words))

    def character_grams(words: list[str]) -> Iterable[str]:
        if limits.characters is None:
            return ()
        shortest, longest = limits.characters
        return (gram for word in words for gram in character_ngrams(word, shortest, longest))

    blocks = [_vectorise(split, grams, settings) for grams in (word_grams, character_grams)]
    matrix = sp.hstack([block.matrix for block in blocks], format="csr")
    if not matrix.shape[1]:
        raise TrainingError(
            f"No n-gram occurs in {settings.min_documents} of the {len(texts)} training texts.",
            "Give more texts, or lower min_documents.",
        )
    model = LogisticRegression(
        C=settings.regularisation, class_weight="balanced", max_iter=2_000, tol=1e-4
    ).fit(matrix, labels)
    weight: Floats = model.coef_[0].astype(np.float64)
    cut = len(blocks[0].vocabulary)
    return NgramModel(
        settings=limits,
        words=Block(blocks[0].vocabulary, blocks[0].idf, weight[:cut]),
        characters=Block(blocks[1].vocabulary, blocks[1].idf, weight[cut:]),
        bias=float(model.intercept_[0]),
    )


class _Vectorised:
    def __init__(self, vocabulary: dict[str, int], idf: Floats, matrix: sp.csr_matrix) -> None:
        self.vocabulary = vocabulary
        self.idf = idf
        self.matrix = matrix


def _vectorise(
    split: Sequence[list[str]],
    grams: Callable[[list[str]], Iterable[str]],
    settings: NgramTraining,
) -> _Vectorised:
    """Vocabulary, smoothed idf and the sublinear, length-one TF-IDF matrix of one block."""
    documents: Counter[str] = Counter()
    for words in split:
        documents.update(set(grams(words)))
    kept = sorted(
        (-count, gram) for gram, count in documents.items() if count >= settings.min_documents
    )
    kept = kept[: settings.max_features]
    vocabulary = {gram: index for index, (_, gram) in enumerate(kept)}
    frequency = np.array([-count for count, _ in kept], dtype=np.float64)
    idf = np.log((1.0 + len(split)) / (1.0 + frequency)) + 1.0

    indptr, indices, data = [0], [], []
    for words in split:
        ids = [index for gram in grams(words) if (index := vocabulary.get(gram)) is not None]
        unique, counts = np.unique(np.array(ids, dtype=np.int64), return_counts=True)
        tfidf = (1.0 + np.log(counts)) * idf[unique]
        norm = np.sqrt(tfidf @ tfidf)
        indices.append(unique)
        data.append(tfidf / norm if norm else tfidf)
        indptr.append(indptr[-1] + len(unique))
    matrix = sp.csr_matrix(
        (np.concatenate(data), np.concatenate(indices), np.array(indptr)),
        shape=(len(split), len(vocabulary)),
    )
    return _Vectorised(vocabulary, idf, matrix)
