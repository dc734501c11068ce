"""The n-gram model: scikit-learn's numbers without scikit-learn, and files that run nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rampart.errors import BundleError
from rampart.models.ngram import (
    Block,
    NgramModel,
    NgramSettings,
    character_ngrams,
    normalised,
    tokens,
    word_ngrams,
)
from rampart.training.ngram import fit_ngram
from tests.conftest import mails, plain


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return fit_ngram(*mails(90, seed=7))


@pytest.fixture
def saved(model: NgramModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "ngram")
    return tmp_path / "ngram"


def test_tokens_are_lower_case_words_with_digits_as_zeros_and_each_sign_by_itself() -> None:
    text = "Pay $1,250 NOW! 50% off_all Ünï\U0001f600"
    assert tokens(text) == [
        "pay", "$", "0", ",", "000", "now", "!", "00", "%", "off_all", "ünï", "\U0001f600",
    ]  # fmt: skip


def test_a_token_without_end_is_cut_and_keeps_its_span(model: NgramModel) -> None:
    text = "x" * 1_000
    assert tokens(text) == ["x" * 40]
    (terms,) = model.score(plain(text)).terms or ()
    assert (terms.start.tolist(), terms.end.tolist()) == ([0], [1_000])


def test_word_ngrams_are_all_runs_up_to_the_longest() -> None:
    assert list(word_ngrams(["a", "b", "c"], 2)) == ["a", "b", "c", "a b", "b c"]
    assert not list(word_ngrams(["a"], 0))


def test_character_ngrams_stay_inside_a_word_with_its_edges() -> None:
    assert list(character_ngrams("ab", 3, 5)) == [" ab", "ab ", " ab "]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_the_terms_of_any_text_make_up_its_logit_word_by_word(model: NgramModel, text: str) -> None:
    scores = model.score(plain(text))
    assert scores.terms is not None
    (terms,) = scores.terms
    assert terms.bias + terms.value.sum() == pytest.approx(scores.logit[0], abs=1e-9)
    spans = zip(terms.start.tolist(), terms.end.tolist(), strict=True)
    assert [normalised(text[start:end]) for start, end in spans] == tokens(text)


def test_a_text_without_known_ngrams_gets_the_bias(model: NgramModel) -> None:
    assert model.score(plain("", "\u4e00\u4e8c")).logit == pytest.approx([model.bias] * 2)


def test_an_ngram_shares_its_weight_evenly_among_its_words() -> None:
    words = Block({"a b": 0}, np.array([2.0]), np.array([3.0]))
    nothing = Block({}, np.zeros(0), np.zeros(0))
    model = NgramModel(NgramSettings(characters=None), words, nothing, bias=0.5)
    (terms,) = model.score(plain("a b c")).terms or ()
    assert terms.value == pytest.approx([1.5, 1.5, 0.0])
    assert model.score(plain("a b a b")).logit == pytest.approx([3.5])


def test_no_texts_get_no_scores_and_no_terms_come_unasked(model: NgramModel) -> None:
    assert model.score(plain()).logit.shape == (0,)
    assert model.score(plain("Win a prize"), explain=False).terms is None


def test_what_was_scored_before_does_not_change_a_score(model: NgramModel) -> None:
    texts, _ = mails(20, seed=8)
    first = model.score(plain(*texts)).logit
    model.score(plain("Words never seen before"))
    assert np.array_equal(model.score(plain(*texts[::-1])).logit[::-1], first)


def test_a_saved_model_scores_as_it_did(model: NgramModel, saved: Path) -> None:
    texts, _ = mails(40, seed=9)
    loaded = NgramModel.load(saved)
    assert loaded.settings == model.settings
    assert loaded.score(plain(*texts)).logit == pytest.approx(
        model.score(plain(*texts)).logit, abs=1e-5
    )


def test_a_saved_model_is_json_and_plain_arrays(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"vocabulary.json", "weights.npz"}
    json.loads((saved / "vocabulary.json").read_text(encoding="utf-8"))
    with np.load(saved / "weights.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind == "f" for name in arrays.files)


def test_a_pickle_in_the_weights_is_refused_and_never_run(saved: Path, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "was here"),)

    with np.load(saved / "weights.npz") as arrays:
        content = dict(arrays)
    content["word_idf"] = np.array([Harmful()], dtype=object)
    np.savez(saved / "weights.npz", **content)
    with pytest.raises(BundleError, match=r"ngram/ cannot be read.*allow_pickle"):
        NgramModel.load(saved)
    assert not (tmp_path / "was here").exists()


def _document(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "vocabulary.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        change(document)
        file.write_text(json.dumps(document), encoding="utf-8")

    return damage


def _arrays(**changed: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with np.load(folder / "weights.npz") as arrays:
            content = dict(arrays) | changed
        np.savez(folder / "weights.npz", **{k: v for k, v in content.items() if v is not None})

    return damage


def _bytes(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)

    return damage


def _halved(folder: Path) -> None:
    file = folder / "weights.npz"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _flipped(folder: Path) -> None:
    file = folder / "weights.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no vocabulary": _bytes("vocabulary.json", None),
    "no weights": _bytes("weights.npz", None),
    "empty weights": _bytes("weights.npz", b""),
    "a pickle for weights": _bytes("weights.npz", b"\x80\x04N."),
    "half of the weights": _halved,
    "a changed byte": _flipped,
    "not JSON": _bytes("vocabulary.json", b"{"),
    "not UTF-8": _bytes("vocabulary.json", b"\xff\xfe"),
    "JSON of another shape": _bytes("vocabulary.json", b"[]"),
    "bottomless JSON": _bytes("vocabulary.json", b"[" * 100_000),
    "an n-gram too few": _document(lambda d: d["words"].pop()),
    "an n-gram twice": _document(lambda d: d["words"].__setitem__(0, d["words"][1])),
    "a number for an n-gram": _document(lambda d: d["words"].__setitem__(0, 5)),
    "a list for an n-gram": _document(lambda d: d["words"].__setitem__(0, [])),
    "unknown settings": _document(lambda d: d["settings"].update(code="x")),
    "no settings": _document(lambda d: d.pop("settings")),
    "an array too few": _arrays(word_weight=None),
    "an array too long": _arrays(word_weight=np.ones(1)),
    "an array of two axes": _arrays(character_idf=np.ones((3, 3))),
    "a weight that is no number": _arrays(bias=np.float64("nan")),
    "words for numbers": _arrays(bias=np.array(["1"])),
    "several biases": _arrays(bias=np.ones(2)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_files_that_are_not_a_model_are_refused(
    damage: Callable[[Path], None], saved: Path
) -> None:
    damage(saved)
    with pytest.raises(BundleError, match="ngram/ cannot be read"):
        NgramModel.load(saved)


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, np.nan])
def test_an_idf_that_would_make_a_score_undefined_is_refused(saved: Path, value: float) -> None:
    with np.load(saved / "weights.npz") as arrays:
        idf = arrays["word_idf"]
    idf[0] = value
    _arrays(word_idf=idf)(saved)
    with pytest.raises(BundleError, match="cannot be read"):
        NgramModel.load(saved)


@pytest.mark.parametrize("characters", [(5, 3), (0, 2), (-1, 3), (3, 1_000)])
def test_lengths_that_give_no_ngrams_are_refused(characters: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="from the shortest to the longest"):
        NgramSettings(characters=characters)
