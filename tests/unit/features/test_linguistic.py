"""Features of language, on sentences whose grammar is plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.data.cleaning import clean
from rampart.features.linguistic import LinguisticFeatures, syllables

FAMILY = LinguisticFeatures()
COLUMN = {feature.name: at for at, feature in enumerate(FAMILY.features)}


def _value(text: str, name: str) -> float:
    return float(FAMILY.read(clean(text)).values[COLUMN[name]])


@pytest.mark.parametrize(
    ("more", "less", "name"),
    [
        (
            "Send the money. Open the letter. Call us.",
            "We met. They left. She slept.",
            "imperatives",
        ),
        ("Why did you go? Who was there?", "You went. He was there.", "questions"),
        ("Buy it! Take it!", "They bought it. They took it.", "exclamations"),
        ("The letter was written by Anna.", "Anna wrote the letter.", "passives"),
        ("You must go and you can stay.", "You go and you stay.", "modal_share"),
        ("The quick red fox saw the tall old tree.", "Foxes see trees.", "adjective_share"),
        ("John Smith met Mary Jones.", "Somebody met somebody.", "named_people"),
        ("It cost $500 and then $20 more.", "It cost a lot and then more.", "named_sums"),
        (
            "Notwithstanding considerable institutional impediments, administrators persevered.",
            "The cat sat on the mat. It was a good cat.",
            "lix",
        ),
        (
            "The cat sat on the mat. It was a good cat.",
            "Notwithstanding considerable institutional impediments, administrators persevered.",
            "flesch",
        ),
        ("one two three four five six", "one one one one one one", "variety"),
    ],
)
def test_a_feature_is_higher_where_the_text_shows_it(more: str, less: str, name: str) -> None:
    assert _value(more, name) > _value(less, name)


def test_evidence_points_into_the_text_as_it_was_sent() -> None:
    text = "<p>Send <b>$500</b> to John Smith today.</p>"
    evidence = FAMILY.read(clean(text)).evidence
    shown = {name: [text[start:end] for start, end in spans] for name, spans in evidence.items()}
    assert any("500" in span for span in shown["named_sums"])
    assert "John Smith" in shown["named_people"]
    assert shown["imperatives"] == ["Send"]


@pytest.mark.parametrize("text", ["", " \n\t", "!!! ???", "<p></p>", "\ud800", "\x00"])
def test_a_text_without_words_is_all_zeros(text: str) -> None:
    reading = FAMILY.read(clean(text))
    assert not reading.values.any()
    assert not reading.evidence


@pytest.mark.parametrize(
    ("word", "count"),
    [("cat", 1), ("table", 2), ("make", 1), ("banana", 3), ("rhythm", 1), ("tree", 1), ("xyz", 1)],
)
def test_syllables_are_groups_of_vowels(word: str, count: int) -> None:
    assert syllables(word) == count


def test_variety_does_not_fall_with_length() -> None:
    once = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60))
    assert _value(" ".join([once] * 4), "variety") == pytest.approx(
        _value(once, "variety"), rel=0.05
    )


def test_many_texts_at_once_read_as_each_alone() -> None:
    texts = ["Send it now!", "", "The old man saw the sea, and he was glad of it."] * 3
    alone = np.stack([FAMILY.read(clean(text)).values for text in texts])
    assert FAMILY.transform(texts) == pytest.approx(alone)


def test_only_the_beginning_is_read() -> None:
    short = LinguisticFeatures(characters=40)
    begin = "The cat sat on the mat. It was a cat. Ok"
    assert short.transform([begin + " and more of it"]) == pytest.approx(short.transform([begin]))


def test_scikit_learn_takes_it_for_one_of_its_own() -> None:
    from sklearn.base import clone
    from sklearn.pipeline import make_union

    union = make_union(clone(LinguisticFeatures(characters=500)), LinguisticFeatures())
    assert union.fit_transform(["Send it now."]).shape == (1, 2 * len(FAMILY.features))
    assert clone(LinguisticFeatures(characters=500)).characters == 500


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_it_fail(text: str) -> None:
    reading = FAMILY.read(clean(text))
    assert np.isfinite(reading.values).all()
    for spans in reading.evidence.values():
        assert all(0 <= start < end <= len(text) for start, end in spans)
