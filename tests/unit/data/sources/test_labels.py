"""Label words are known in columns and in names of folders, and nothing else is."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from rampart.data.sources.labels import label_of, label_of_place


@pytest.mark.parametrize(
    "value", [1, 1.0, True, "1", "spam", " SPAM\n", "Phishing", np.int8(1), Decimal("1.0")]
)
def test_words_and_numbers_for_a_threat_are_one(value: object) -> None:
    assert label_of(value) == 1


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "ham", "Legitimate", "FALSE", "benign"])
def test_words_and_numbers_for_none_are_zero(value: object) -> None:
    assert label_of(value) == 0


@pytest.mark.parametrize("value", [2, -1, 0.5, "", " ", None, float("nan"), "yes", "not spam", [1]])
def test_anything_else_is_no_label(value: object) -> None:
    assert label_of(value) is None


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["spam"], 1),
        (["spam-1"], 1),
        (["Spam_2003"], 1),
        (["easy_ham"], 0),
        (["hard-ham-1"], 0),
        (["inbox", "ham"], 0),
        (["ham", "spam"], 0),
        (["hamburg", "spam"], 1),
        (["hamburg"], None),
        (["no-spam"], None),
        (["spammer"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_nearest_folder_that_is_named_so_labels_a_mail(
    names: list[str], label: int | None
) -> None:
    assert label_of_place(names) == label
