"""The n-gram model fitted from shards is the one that is fitted in memory."""

from __future__ import annotations

import re
import resource
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from rampart.data.sharding import writing
from rampart.errors import DataError, TrainingError
from rampart.models.ngram import NgramModel, NgramSettings, character_ngrams, tokens, word_ngrams
from rampart.training import ngram_counts, ngram_stream
from rampart.training.logistic import Blocks, fit_logistic
from rampart.training.ngram import NgramTraining, fit_ngram
from rampart.training.ngram_counts import Spill, frequent
from rampart.training.ngram_hashes import count
from rampart.training.ngram_stream import fit_ngram_stream
from tests.conftest import mails, plain

SCHEMA = pa.schema([("clean", pa.string()), ("label", pa.int8()), ("split", pa.string())])
# Of logits and weights; values on disk have 32 bits, and weights reach some tens.
TOLERANCE = 1e-5


def dataset(path: Path, texts: list[str], labels: object, rows: int = 25) -> Path:
    """Texts in shards, each fourth of them in a part that is not read."""
    parts = ["test" if number % 4 == 3 else "train" for number in range(len(texts))]
    with writing(path, SCHEMA, rows=rows) as writer:
        frame = pd.DataFrame({"clean": texts, "label": labels, "split": parts})
        writer.write(frame.astype({"label": "int8"}))
    return path


def trained(texts: list[str], labels: np.ndarray) -> tuple[list[str], np.ndarray]:
    chosen = [number for number in range(len(texts)) if number % 4 != 3]
    return [texts[number] for number in chosen], np.asarray(labels, dtype=np.int8)[chosen]


def assert_same(one: NgramModel, other: NgramModel) -> None:
    for mine, theirs in ((one.words, other.words), (one.characters, other.characters)):
        assert list(mine.vocabulary) == list(theirs.vocabulary)
        assert mine.idf.tolist() == theirs.idf.tolist()
        assert mine.weight == pytest.approx(theirs.weight, abs=TOLERANCE)
    assert one.bias == pytest.approx(other.bias, abs=TOLERANCE)


@pytest.mark.parametrize(
    "how",
    [
        NgramTraining(),
        NgramTraining(max_features=200),
        NgramTraining(ngrams=NgramSettings(characters=None), regularisation=1.0),
        NgramTraining(ngrams=NgramSettings(words=0, characters=(3, 4)), min_documents=3),
        NgramTraining(ngrams=NgramSettings(words=3, characters=(1, 9)), min_documents=1),
        NgramTraining(max_iterations=3),
    ],
    ids=["default", "ties at the limit", "words", "characters", "long", "cut short"],
)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_model_is_that_of_memory(tmp_path: Path, how: NgramTraining) -> None:
    texts, labels = mails(120, seed=3)
    path = dataset(tmp_path / "table", texts, labels)
    found = fit_ngram_stream(path, settings=how)
    assert_same(found, fit_ngram(*trained(texts, labels), how))
    fresh = plain(*mails(40, seed=4)[0], "", "xyzzy")
    theirs = fit_ngram(*trained(texts, labels), how).score(fresh, explain=False).logit
    assert found.score(fresh, explain=False).logit == pytest.approx(theirs, abs=TOLERANCE)


WORDS = st.sampled_from(
    ["win", "Win", "money", "10", "99", "a", "ab", "\u0130", "\u00df", "\U0001f600", "!", "naïve"]
)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.lists(WORDS, max_size=12), st.integers(0, 1)), min_size=4, max_size=20),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_whatever_the_texts_both_keep_the_same_ngrams(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[list[str], int]],
    most: int,
    least: int,
) -> None:
    texts = [" ".join(words) for words, _ in rows]
    labels = np.array([0, 1, *(label for _, label in rows[2:])], dtype=np.int8)
    how = NgramTraining(max_features=most, min_documents=least, regularisation=1.0)
    path = dataset(tmp_path_factory.mktemp("table") / "table", texts, labels, rows=3)
    try:
        expected = fit_ngram(*trained(texts, labels), how)
    except TrainingError as error:
        with pytest.raises(TrainingError, match=re.escape(str(error))):
            fit_ngram_stream(path, settings=how)
        return
    assert_same(fit_ngram_stream(path, settings=how), expected)


def test_processes_and_memory_change_nothing(tmp_path: Path) -> None:
    texts, labels = mails(80, seed=5)
    path = dataset(tmp_path / "table", texts, labels)
    (tmp_path / "work").mkdir()
    first = fit_ngram_stream(path, processes=2, keep=0, work=tmp_path / "work")
    second = fit_ngram_stream(path)
    for one, other in ((first.words, second.words), (first.characters, second.characters)):
        assert one.vocabulary == other.vocabulary
        assert one.weight.tolist() == other.weight.tolist()
    assert not list((tmp_path / "work").iterdir())


def test_a_head_that_was_cut_short_is_told_of(tmp_path: Path) -> None:
    path = dataset(tmp_path / "table", *mails(60))
    with pytest.warns(ConvergenceWarning, match=r"1 iterations; raise max_iterations"):
        fit_ngram_stream(path, settings=NgramTraining(max_iterations=1))


def test_each_step_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    texts, labels = mails(60)
    fit_ngram_stream(
        dataset(tmp_path / "table", texts, labels),
        stage=lambda name: lambda done, total: told.append((name, done, total)),
    )
    steps = dict.fromkeys(name for name, _, _ in told)
    assert list(steps) == [
        "Counting n-grams", "Naming n-grams", "Weighing n-grams", "Fitting the head",
    ]  # fmt: skip
    assert ("Counting n-grams", 3, 3) in told
    assert ("Weighing n-grams", 3, 3) in told


@pytest.mark.parametrize("part", ["train", "validation"])
def test_one_class_or_none_is_refused_with_how_many(tmp_path: Path, part: str) -> None:
    path = dataset(tmp_path / "table", ["a b c"] * 8, [1] * 8)
    with pytest.raises(TrainingError, match=f"All {6 if part == 'train' else 0} training texts"):
        fit_ngram_stream(path, part=part)


def test_a_split_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = dataset(tmp_path / "table", ["a b c"] * 8, [1, 0] * 4)
    with pytest.raises(DataError, match="no column 'time_split'"):
        fit_ngram_stream(path, column="time_split")


TEXTS = st.lists(st.lists(WORDS, max_size=9).map(" ".join), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.integers(0, 3), st.none() | st.sampled_from([(1, 1), (2, 6), (3, 12)]))
def test_hashes_stand_for_the_ngrams_and_their_counts(
    texts: list[str], words: int, characters: tuple[int, int] | None
) -> None:
    how = NgramSettings(words=words, characters=characters)
    split = [tokens(text) for text in texts]
    expected = (
        [Counter(word_ngrams(one, words)) for one in split],
        [
            Counter(g for word in one for g in character_ngrams(word, *(characters or (1, 0))))
            for one in split
        ],
    )
    for counted, wanted in zip(count(texts, how), expected, strict=True):
        names = [counted.name(index) for index in range(len(counted.hashes))]
        assert len(set(names)) == len(names)
        matrix = counted.counts().toarray()
        for row, counter in zip(matrix, wanted, strict=True):
            assert {names[i]: int(n) for i, n in enumerate(row) if n} == dict(counter)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.dictionaries(st.integers(0, 40), st.integers(1, 9), max_size=20), max_size=8),
    st.integers(1, 12), st.integers(1, 10),
)  # fmt: skip
def test_counts_on_disk_are_those_of_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[int, int]], least: int, most: int
) -> None:
    folder = tmp_path_factory.mktemp("spill")
    spread = 2**64 // 41
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_counts, "_HELD", 25)
        spills = [Spill(folder, f"words-{number}") for number in range(2)]
        for number, batch in enumerate(batches):
            keys = sorted(batch)
            hashes = np.array([key * spread for key in keys], dtype=np.uint64)
            spills[number % 2].add(hashes, np.array([batch[key] for key in keys], dtype=np.int64))
        for spill in spills:
            spill.write()
    total: Counter[int] = Counter()
    for batch in batches:
        total.update(batch)
    ranked = sorted((n for n in total.values() if n >= least), reverse=True)
    limit = ranked[most - 1] if len(ranked) > most else least
    wanted = {key * spread: n for key, n in total.items() if n >= limit}
    hashes, documents = frequent(folder, "words-", least, most)
    assert dict(zip(hashes.tolist(), documents.tolist(), strict=True)) == wanted
    assert hashes.tolist() == sorted(hashes.tolist())


def test_however_many_files_there_are_few_are_open(tmp_path: Path) -> None:
    hashes = np.arange(1, 65, dtype=np.uint64) * np.uint64(2**57)
    for number in range(300):
        spill = Spill(tmp_path, f"words-{number:03}")
        spill.add(hashes, np.full(64, 2, dtype=np.int64))
        spill.write()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 20, limits[1]))
    try:
        found, documents = frequent(tmp_path, "words-", 1, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    np.testing.assert_array_equal(found, hashes)
    np.testing.assert_array_equal(documents, np.full(64, 600))


def test_the_head_is_scikit_learns_own(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    matrix = sp.random(300, 40, density=0.2, format="csr", rng=draw, dtype=np.float32)
    labels = (draw.random(300) < 0.3).astype(np.int8)
    for number, start in enumerate(range(0, 300, 70)):
        part = slice(start, start + 70)
        Blocks.write(tmp_path / f"block-{number}", matrix[part], labels[part])
    theirs = LogisticRegression(C=7.0, class_weight="balanced", max_iter=2_000, tol=1e-4)
    theirs.fit(matrix.astype(np.float64), labels)
    told: list[int] = []
    ours = fit_logistic(Blocks(tmp_path, 40), 7.0, on_iteration=told.append)
    assert ours.weight == pytest.approx(theirs.coef_[0], abs=1e-6)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=1e-6)
    assert ours.iterations == theirs.n_iter_[0] == told[-1]
    assert ours.converged
    assert not fit_logistic(Blocks(tmp_path, 40), 7.0, max_iterations=1).converged


def test_names_are_asked_for_no_longer_than_one_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = ngram_stream._name_shard
    monkeypatch.setattr(
        ngram_stream, "_name_shard", lambda given: asked.append(given[0].number) or real(given)
    )
    texts = ["win money now", "meet me now"] * 20
    path = dataset(tmp_path / "table", texts, [1, 0] * 20, rows=10)
    fit_ngram_stream(path)
    assert asked == [0]
