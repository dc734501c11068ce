"""Methods agree or do not, and an edit that no reader minds leaves an explanation as it was."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.explain.attribution import Attribution
from rampart.explain.occlusion import occlusion
from rampart.explain.stability import agreement, harmless_edits, rank_correlation, stability

WORTH = {"free": 2.0, "prize": 1.5, "meeting": -2.5, "win": 1.0}
TEXT = "Claim <b>free</b> prize win one two three the meeting four"
HOSTILE = st.text(alphabet="aB \r\n<>/&;ßé\u0301\U0001f600\ud800\x00.:", max_size=50)


def additive(texts: Sequence[str]) -> np.ndarray:
    """0.25, and what each known word adds."""
    found = []
    for text in texts:
        seen = re.findall(r"\w+|[^\w\s]", re.sub(r"<[^>]*>", "", text))
        found.append(0.25 + sum(WORTH.get(word, 0.0) for word in seen))
    return np.array(found)


def folded(texts: Sequence[str]) -> np.ndarray:
    """The same, whatever the letters' case."""
    return additive([text.lower() for text in texts])


def _scaled(found: Attribution, factor: float) -> Attribution:
    return replace(found, value=found.value * factor, method=f"times {factor}")


def test_methods_agree_by_rank_and_by_their_strongest_words() -> None:
    true = occlusion(additive, TEXT)
    same = agreement(TEXT, true, _scaled(true, 3.0), top=4)
    assert (same.words, same.correlation, same.overlap) == (10, pytest.approx(1.0), 1.0)
    against = agreement(TEXT, true, _scaled(true, -1.0), top=4)
    assert (against.correlation, against.overlap) == (pytest.approx(-1.0), 1.0)
    others = replace(true, value=np.where(true.value == 0, 1.0, 0.0))
    assert agreement(TEXT, true, others, top=4).overlap == 0.0
    assert agreement(TEXT, true, _scaled(true, 0.0)).correlation is None


def test_methods_are_compared_on_the_words_that_both_know() -> None:
    true = occlusion(additive, TEXT)
    some = Attribution(
        true.start[1:4], true.end[1:4], np.array([3.0, 2.0, 1.0]), 0.0, true.logit, "some"
    )
    found = agreement(TEXT, true, some, top=10)
    assert (found.words, found.correlation, found.overlap) == (3, pytest.approx(1.0), 1.0)
    none = Attribution(true.start[:0], true.end[:0], np.zeros(0), 0.0, true.logit, "none")
    assert agreement(TEXT, true, none) == replace(
        found, methods=("occlusion", "none"), words=0, correlation=None, overlap=None
    )


def test_equal_values_have_their_mean_rank() -> None:
    found = rank_correlation(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == pytest.approx(math.sqrt(0.9))
    assert rank_correlation(np.array([1.0, 2.0, 99.0]), np.arange(3.0)) == pytest.approx(1.0)
    assert rank_correlation(np.array([1.0]), np.array([2.0])) is None


def test_an_edit_is_harmless_to_a_model_that_reads_as_people_do() -> None:
    found = stability(lambda text: occlusion(folded, text), TEXT)
    assert [one.edit for one in found] == ["small letters", "capitals", "spacing"]
    for one in found:
        assert (one.method, one.matched, one.shift) == ("occlusion", 1.0, 0.0)
        assert one.correlation == pytest.approx(1.0)


def test_an_explanation_that_an_edit_overthrows_is_not_stable() -> None:
    given = occlusion(additive, TEXT)
    found = stability(lambda text: occlusion(additive, text), TEXT, explained=given)
    assert [one.correlation for one in found] == [pytest.approx(1.0), None, pytest.approx(1.0)]
    assert [one.shift for one in found] == pytest.approx([0.0, -2.0, 0.0])


def test_edits_leave_markup_addresses_and_entities_as_they_are() -> None:
    text = "<a href='http://X.example/A'>Buy No&eacute;l</a> Stra\u00dfe now or never ever"
    edits = harmless_edits(text, seed=1)
    assert edits["small letters"] == text.replace("Buy", "buy").replace("Str", "str")
    assert edits["capitals"].startswith(
        "<a href='http://X.example/A'>BUY No&eacute;l</a> STRA\u00dfE"
    )
    assert "  " in edits["spacing"]
    assert edits["spacing"].split() == text.split()
    assert harmless_edits(text, seed=1) == edits
    assert any(harmless_edits(text, seed=seed) != edits for seed in range(2, 6))


def test_each_of_several_like_words_is_matched_with_its_own() -> None:
    def explain(text: str) -> Attribution:
        value = np.array([3.0, 1.0, 2.0] if text == "one one two" else [0.0, 1.0, 2.0])
        return replace(occlusion(folded, text), value=value)

    found = stability(explain, "one one two")
    assert found[1].correlation == pytest.approx(-0.5)
    assert found[1].matched == 1.0


@settings(max_examples=200, deadline=None)
@given(HOSTILE, st.integers(0, 5))
def test_an_edit_changes_no_more_than_case_and_spacing_of_any_text(text: str, seed: int) -> None:
    for edited in harmless_edits(text, seed).values():
        assert edited.casefold().split() == text.casefold().split()


def test_a_text_without_words_is_as_stable_as_can_be() -> None:
    for one in stability(lambda text: occlusion(additive, text), " \r\n"):
        assert (one.matched, one.correlation, one.shift) == (1.0, None, 0.0)
