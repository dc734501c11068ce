"""Texts with labels: taken from a split's part, and drawn with the classes' shares kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.data.labelled import Labelled
from rampart.data.sharding import writing


def _labelled(harmless: int, threats: int) -> Labelled:
    labels = np.array([0] * harmless + [1] * threats, dtype=np.int8)
    return Labelled([f"text {number}" for number in range(len(labels))], labels)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 130), st.integers(0, 9))
def test_a_sample_has_its_size_and_both_classes_in_their_shares(
    harmless: int, threats: int, size: int, seed: int
) -> None:
    whole = _labelled(harmless, threats)
    sample = whole.sampled(size, seed)
    assert len(sample.texts) == len(sample.labels) == min(size, harmless + threats)
    assert len(set(sample.texts)) == len(sample.texts)
    assert [whole.labels[int(text.split()[1])] for text in sample.texts] == sample.labels.tolist()
    assert set(sample.labels.tolist()) == set(whole.labels.tolist())
    if len(sample.texts) and harmless and threats:
        exact = len(sample.texts) * threats / (harmless + threats)
        assert abs(sample.labels.sum() - max(1, min(exact, size - 1))) <= 0.5


def test_a_seed_draws_the_same_texts_again_and_another_one_others() -> None:
    whole = _labelled(50, 50)
    assert whole.sampled(20, 1).texts == whole.sampled(20, 1).texts
    assert whole.sampled(20, 1).texts != whole.sampled(20, 2).texts


def test_without_a_size_all_are_taken() -> None:
    whole = _labelled(3, 3)
    assert whole.sampled(None, 0) is whole
    assert whole.sampled(6, 0) is whole


def test_a_part_holds_the_clean_texts_of_its_rows() -> None:
    table = pd.DataFrame({
        "clean": ["a", "b", "c"], "text": ["A", "B", "C"], "campaign": ["x", "y", "x"],
        "label": [0, 1, 1], "split": ["train", "test", "train"],
    })  # fmt: skip
    part = Labelled.part(table, "split", "train")
    assert (part.texts, part.sent, part.campaigns) == (["a", "c"], ["A", "C"], ["x", "x"])
    assert part.labels.tolist() == [0, 1]
    assert part.labels.dtype == np.int8


def test_rows_keep_all_that_is_known_of_them() -> None:
    texts, sent, campaigns = ["a", "b", "c"], ["<p>a", "<p>b", "<p>c"], ["x", "y", "z"]
    whole = Labelled(texts, np.array([0, 1, 0], dtype=np.int8), sent, campaigns)
    chosen = whole.rows(np.array([2, 1]))
    assert (chosen.texts, chosen.sent, chosen.campaigns) == (
        ["c", "b"], ["<p>c", "<p>b"], ["z", "y"],
    )  # fmt: skip
    assert chosen.labels.tolist() == [0, 1]


def test_models_get_the_text_as_sent_where_it_is_known() -> None:
    one = np.array([1], dtype=np.int8)
    [aligned] = Labelled(["a b"], one, ["<p>a <b>b</b>"]).aligned()
    assert aligned.source == "<p>a <b>b</b>"
    [aligned] = Labelled(["a b"], one).aligned()
    assert (aligned.text, aligned.source) == ("a b", "a b")


@pytest.mark.parametrize("most", [2, 5, 100])
def test_a_part_of_a_dataset_is_drawn_as_a_sample_of_it_is(tmp_path: Path, most: int) -> None:
    names = ["clean", "text", "campaign", "split"]
    schema = pa.schema([*((name, pa.string()) for name in names), ("label", pa.int8())])
    rows = pd.DataFrame({name: [f"{name} {n}" for n in range(30)] for name in names})
    rows["split"] = ["train", "test", "train"] * 10
    rows["label"] = np.array([n % 4 == 0 for n in range(30)], dtype=np.int8)
    with writing(tmp_path / "table", schema, rows=7) as writer:
        writer.write(rows)
    found = Labelled.of_part(tmp_path / "table", "split", "train", most=most, seed=3)
    wanted = Labelled.part(rows, "split", "train").sampled(most, 3)
    assert found.texts == wanted.texts
    assert (found.sent, found.campaigns) == (wanted.sent, wanted.campaigns)
    assert found.labels.tolist() == wanted.labels.tolist()
