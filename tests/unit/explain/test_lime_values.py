"""LIME ranks what words add as it is, from as many samples as there is a budget for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.explain.attribution import Attribution, Budget
from rampart.explain.lime_values import lime_values

WORTH = {"free": 2.0, "prize": 1.5, "meeting": -2.5, "\U0001f600": 0.5}
TEXT = "Claim <b>fr<i></i>ee</b>\r\nprize \U0001f600 &amp; the meeting"


def additive(texts: Sequence[str]) -> np.ndarray:
    """0.3, and what each known word adds."""
    found = []
    for text in texts:
        seen = re.findall(r"\w+|[^\w\s]", re.sub(r"<[^>]*>", "", text))
        found.append(0.3 + sum(WORTH.get(word, 0.0) for word in seen))
    return np.array(found)


def _state() -> list[str]:
    """Of numpy's global generator."""
    return [str(np.asarray(part).tolist()) for part in np.random.get_state()]  # noqa: NPY002


def _words(text: str, found: Attribution) -> list[tuple[str, float]]:
    spans = zip(found.start.tolist(), found.end.tolist(), found.value.tolist(), strict=True)
    return [(text[a:b], value) for a, b, value in spans]


def test_words_that_add_up_are_found_by_sign_and_order() -> None:
    found = lime_values(additive, TEXT, samples=400)
    ranked = sorted(_words(TEXT, found), key=lambda pair: pair[1])
    assert ranked[0][0] == "meeting"
    assert [word for word, _ in ranked[:3:-1]] == ["fr<i></i>ee", "prize", "\U0001f600"]
    assert dict(ranked)["meeting"] == pytest.approx(-2.5, abs=0.1)
    assert dict(ranked)["the"] == pytest.approx(0.0, abs=0.1)
    assert found.base == pytest.approx(0.3, abs=0.1)
    assert (found.method, found.seed, found.complete) == ("lime", 0, True)
    # The text without words is scored too, beside the samples.
    assert (found.logit, found.calls) == (pytest.approx(1.8), 401)


def test_a_word_that_comes_twice_is_two_words() -> None:
    found = lime_values(additive, "free now or free", samples=400)
    assert found.value.tolist() == pytest.approx([2.0, 0.0, 0.0, 2.0], abs=0.1)


def test_the_same_seed_gives_the_same_and_numpys_own_state_stays() -> None:
    before = _state()
    first = lime_values(additive, TEXT, samples=50, seed=3)
    assert _state() == before
    again = lime_values(additive, TEXT, samples=50, seed=3)
    assert first.value.tolist() == again.value.tolist()
    assert lime_values(additive, TEXT, samples=50, seed=4).value.tolist() != first.value.tolist()


def test_a_budget_under_the_samples_makes_fewer_samples() -> None:
    found = lime_values(additive, TEXT, samples=400, budget=Budget(60))
    assert (found.calls, found.complete) == (60, False)
    assert found.value.argmax() == 1


def test_a_budget_for_the_ends_alone_finds_nothing() -> None:
    found = lime_values(additive, TEXT, budget=Budget(2))
    assert not found.value.any()
    assert (found.base, found.calls, found.complete) == (found.logit, 2, False)


def test_where_the_time_is_up_it_fits_what_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def score(texts: Sequence[str]) -> np.ndarray:
        # It slows down, so that fewer samples are scored than were drawn.
        now[0] += len(texts) * (1.0 if now[0] < 30 else 3.0)
        return additive(texts)

    monkeypatch.setattr("rampart.explain.metering.perf_counter", lambda: now[0])
    found = lime_values(score, TEXT, budget=Budget(1000, seconds=120.0), batch=4)
    assert found.seconds <= 120.0
    assert 40 < found.calls < 80
    assert not found.complete
    assert found.value.argmax() == 1
    assert found.value[[1, 2, 6]] == pytest.approx([2.0, 1.5, -2.5], abs=0.5)


def test_more_words_than_the_limit_are_grouped() -> None:
    found = lime_values(additive, "one two three four free prize", limit=3, samples=400)
    assert found.value.tolist() == pytest.approx([0.0, 0.0, 3.5], abs=0.5)


@pytest.mark.parametrize("text", ["", " \r\n", "<p></p>", "\x00\ud800"])
def test_a_text_without_words_has_no_values(text: str) -> None:
    found = lime_values(additive, text)
    assert (len(found), found.calls, found.complete) == (0, 2, True)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab \r\n<>/&;é\u0301\U0001f600\ud800\x00", max_size=40))
def test_its_spans_lie_in_any_text(text: str) -> None:
    lime_values(additive, text, samples=10).check(text)
