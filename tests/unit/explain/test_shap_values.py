"""SHAP finds what words add, shares what they do together, and keeps its sum on any budget."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.explain.attribution import Attribution, Budget
from rampart.explain.occlusion import occlusion
from rampart.explain.shap_values import balanced_tree, shap_values

WORTH = {"free": 2.0, "prize": 1.5, "meeting": -2.5, "\U0001f600": 0.5}
TEXT = "Claim <b>fr<i></i>ee</b>\r\nprize \U0001f600 &amp; the meeting"


def additive(texts: Sequence[str]) -> np.ndarray:
    """0.3, and what each known word adds."""
    found = []
    for text in texts:
        seen = re.findall(r"\w+|[^\w\s]", re.sub(r"<[^>]*>", "", text))
        found.append(0.3 + sum(WORTH.get(word, 0.0) for word in seen))
    return np.array(found)


def either(texts: Sequence[str]) -> np.ndarray:
    """4 where any of two words is there: each stands in for the other."""
    return np.array([4.0 * ("win" in text or "cash" in text) for text in texts])


def _state() -> list[str]:
    """Of numpy's global generator."""
    return [str(np.asarray(part).tolist()) for part in np.random.get_state()]  # noqa: NPY002


def _words(text: str, found: Attribution) -> dict[str, float]:
    spans = zip(found.start.tolist(), found.end.tolist(), found.value.tolist(), strict=True)
    return {text[a:b]: round(value, 9) for a, b, value in spans}


def test_words_that_add_up_are_given_what_they_add() -> None:
    found = shap_values(additive, TEXT)
    assert _words(TEXT, found) == {
        "Claim": 0, "fr<i></i>ee": 2.0, "prize": 1.5, "\U0001f600": 0.5, "&amp;": 0, "the": 0,
        "meeting": -2.5,
    }  # fmt: skip
    assert (found.base, found.logit) == (pytest.approx(0.3), pytest.approx(1.8))
    assert (found.method, found.seed, found.complete) == ("shap", 0, True)
    # Two for the ends, then two for each group of words in each of its contexts.
    assert found.calls == 2 + 34


def test_words_that_stand_in_for_each_other_share_what_occlusion_does_not_see() -> None:
    text = "win or cash"
    found = shap_values(either, text)
    assert _words(text, found) == {"win": 2.0, "or": 0.0, "cash": 2.0}
    assert not occlusion(either, text).value.any()


def test_its_values_sum_to_the_logit_on_any_budget() -> None:
    text = "free one two three meeting prize four five win or cash"

    def score(texts: Sequence[str]) -> np.ndarray:
        return additive(texts) + either(texts) * np.array([len(text) / 50 for text in texts])

    calls = []
    for evaluations in (2, 3, 4, 7, 20, 51, 10_000):
        found = shap_values(score, text, budget=Budget(evaluations))
        assert found.unexplained == pytest.approx(0.0, abs=1e-9)
        assert found.calls <= evaluations
        assert found.complete == (evaluations == 10_000)
        calls.append(found.calls)
    assert calls == sorted(calls)


def test_a_budget_for_the_ends_alone_shares_evenly() -> None:
    found = shap_values(additive, "free prize", budget=Budget(2))
    assert found.value.tolist() == [1.75, 1.75]
    assert not found.complete


def test_the_clock_stops_it_where_as_many_evaluations_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = " ".join(f"w{number}" for number in range(30)) + " free prize meeting"
    now = [0.0]

    def score(texts: Sequence[str]) -> np.ndarray:
        now[0] += len(texts)
        return additive(texts)

    monkeypatch.setattr("rampart.explain.metering.perf_counter", lambda: now[0])
    timed = shap_values(score, text, budget=Budget(1000, seconds=21.0), batch=4)
    assert (timed.calls, timed.seconds, timed.complete) == (20, 20.0, False)
    counted = shap_values(score, text, budget=Budget(20), batch=4)
    assert timed.value.tolist() == counted.value.tolist()
    assert timed.unexplained == pytest.approx(0.0, abs=1e-9)


def test_the_same_seed_gives_the_same_and_numpys_own_state_stays() -> None:
    # Groups that matter alike, so that lots decide which of them are parted.
    text = "free or " * 4
    before = _state()
    first = shap_values(additive, text, budget=Budget(24), batch=2, seed=3)
    assert _state() == before
    again = shap_values(additive, text, budget=Budget(24), batch=2, seed=3)
    assert first.value.tolist() == again.value.tolist()
    others = [
        shap_values(additive, text, budget=Budget(24), batch=2, seed=seed) for seed in range(4, 9)
    ]
    assert any(other.value.tolist() != first.value.tolist() for other in others)


def test_an_error_of_the_model_leaves_numpys_state_and_the_way_open() -> None:
    calls = []

    def breaks(texts: Sequence[str]) -> np.ndarray:
        calls.append(len(texts))
        if len(calls) > 1:
            raise RuntimeError("the model is gone")
        return np.zeros(len(texts))

    before = _state()
    with pytest.raises(RuntimeError, match="the model is gone"):
        shap_values(breaks, TEXT)
    assert _state() == before
    assert len(shap_values(additive, "free prize")) == 2


def test_more_words_than_the_limit_are_grouped() -> None:
    found = shap_values(additive, "one two three four free prize", limit=3)
    assert found.value.tolist() == pytest.approx([0.0, 0.0, 3.5])
    assert found.complete


@pytest.mark.parametrize(
    ("text", "value"), [("", []), (" \r\n", []), ("\x00\ud800", []), ("free", [2.0])]
)
def test_a_text_of_no_word_or_one_needs_no_groups(text: str, value: list[float]) -> None:
    found = shap_values(additive, text)
    assert found.value.tolist() == pytest.approx(value)
    assert (found.calls, found.complete) == (2, True)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \r\n<>/&;é\u0301\U0001f600\ud800\x00", max_size=40))
def test_its_spans_lie_in_any_text(text: str) -> None:
    def score(texts: Sequence[str]) -> np.ndarray:
        return np.array([float(len(text)) for text in texts])

    found = shap_values(score, text, budget=Budget(40))
    found.check(text)
    assert found.unexplained == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 64, 200])
def test_the_tree_joins_neighbours_and_is_no_deeper_than_it_has_to_be(count: int) -> None:
    tree = balanced_tree(count)
    spans = {leaf: (leaf, leaf + 1, 0) for leaf in range(count)}
    for row, (left, right, _, size) in enumerate(tree.tolist()):
        (first, middle, depth), (start, end, other) = spans.pop(int(left)), spans.pop(int(right))
        assert middle == start
        assert end - first == size
        spans[count + row] = first, end, max(depth, other) + 1
    ((first, end, depth),) = spans.values()
    assert (first, end) == (0, count)
    assert depth == (count - 1).bit_length()
