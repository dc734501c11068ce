"""Fitting the n-gram model gives scikit-learn's own numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

from rampart.errors import TrainingError
from rampart.models.ngram import NgramModel, NgramSettings
from rampart.training.ngram import NgramTraining, fit_ngram
from tests.conftest import mails, plain


def _words(text: str) -> list[str]:
    return [re.sub(r"\d", "0", word.lower()) for word in re.findall(r"[^\w\s]|\w+", text)]


def _scikit_learn(ours: NgramModel, settings: NgramTraining) -> object:
    """The same pipeline from scikit-learn's parts; columns in our order, as rounding minds it."""
    common = {"sublinear_tf": True, "min_df": settings.min_documents, "lowercase": False}
    blocks = []
    if settings.ngrams.words:
        blocks.append((
            "words",
            TfidfVectorizer(
                tokenizer=_words, token_pattern=None, ngram_range=(1, settings.ngrams.words),
                vocabulary=list(ours.words.vocabulary), **common,
            ),
        ))  # fmt: skip
    if settings.ngrams.characters:
        blocks.append((
            "characters",
            TfidfVectorizer(
                preprocessor=lambda text: " ".join(_words(text)), analyzer="char_wb",
                ngram_range=settings.ngrams.characters,
                vocabulary=list(ours.characters.vocabulary), **common,
            ),
        ))  # fmt: skip
    head = LogisticRegression(
        C=settings.regularisation, class_weight="balanced", max_iter=2_000, tol=1e-4
    )
    return make_pipeline(FeatureUnion(blocks), head)


@pytest.mark.parametrize(
    "settings",
    [
        NgramTraining(),
        NgramTraining(ngrams=NgramSettings(characters=None), regularisation=1.0),
        NgramTraining(ngrams=NgramSettings(words=0, characters=(3, 4)), min_documents=3),
        NgramTraining(ngrams=NgramSettings(words=3, characters=(4, 4)), min_documents=1),
    ],
    ids=["default", "words", "characters", "long"],
)
def test_scores_are_those_of_scikit_learns_own_pipeline(settings: NgramTraining) -> None:
    texts, labels = mails(90, seed=10)
    fresh = [*mails(60, seed=11)[0], "", "Nothing of this is known: xyzzy"]
    ours = fit_ngram(texts, labels, settings)
    theirs = _scikit_learn(ours, settings).fit(texts, labels)  # type: ignore[attr-defined]
    assert ours.score(plain(*fresh)).logit == pytest.approx(
        theirs.decision_function(fresh), abs=1e-6
    )


def test_the_vocabulary_is_scikit_learns() -> None:
    texts, labels = mails(60, seed=12)
    model = fit_ngram(texts, labels)
    words = TfidfVectorizer(
        tokenizer=_words, token_pattern=None, lowercase=False, ngram_range=(1, 3), min_df=2
    ).fit(texts)
    characters = TfidfVectorizer(
        preprocessor=lambda text: " ".join(_words(text)), analyzer="char_wb",
        ngram_range=(2, 6), min_df=2,
    ).fit(texts)  # fmt: skip
    assert set(model.words.vocabulary) == set(words.vocabulary_)
    assert set(model.characters.vocabulary) == set(characters.vocabulary_)


def test_the_most_frequent_ngrams_are_kept() -> None:
    texts = ["often rare", "often seldom", "often seldom"]
    settings = NgramTraining(
        ngrams=NgramSettings(words=1, characters=None), min_documents=1, max_features=2
    )
    model = fit_ngram(texts, np.array([0, 1, 1], dtype=np.int8), settings)
    assert list(model.words.vocabulary) == ["often", "seldom"]


def test_fitting_twice_gives_the_same_model() -> None:
    texts, labels = mails(60, seed=13)
    first, second = fit_ngram(texts, labels), fit_ngram(texts, labels)
    assert list(first.characters.vocabulary) == list(second.characters.vocabulary)
    assert np.array_equal(first.characters.weight, second.characters.weight)


def test_a_rare_class_weighs_as_much_as_a_common_one() -> None:
    # Nothing tells the classes apart, so only their masses could push the score off zero.
    texts = ["the same words"] * 20
    labels = np.array([1, *[0] * 19], dtype=np.int8)
    assert fit_ngram(texts, labels).score(plain(*texts[:1])).logit == pytest.approx([0.0], abs=1e-3)


def test_texts_of_one_class_are_refused() -> None:
    with pytest.raises(TrainingError, match="All 3 training texts have one label"):
        fit_ngram(["a b", "b c", "c d"], np.ones(3, dtype=np.int8))


@pytest.mark.parametrize("texts", [["one", "two"], ["", ""]])
def test_texts_with_no_frequent_ngram_are_refused(texts: list[str]) -> None:
    with pytest.raises(TrainingError, match="No n-gram occurs in 2 of the 2"):
        fit_ngram(texts, np.array([0, 1], dtype=np.int8))
