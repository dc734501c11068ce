"""Occlusion gives each word what the logit loses without it, and spends no more than it may."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from rampart.errors import InputError
from rampart.explain.attribution import Attribution, Budget
from rampart.explain.occlusion import occlusion, phrases

WORTH = {"free": 2.0, "prize": 1.5, "meeting": -2.5, "\U0001f600": 0.5}
TEXT = "Claim <b>fr<i></i>ee</b>\r\nprize \U0001f600 &amp; the meeting"


def additive(texts: Sequence[str]) -> np.ndarray:
    """0.3, and what each known word adds."""
    found = []
    for text in texts:
        seen = re.findall(r"\w+|[^\w\s]", re.sub(r"<[^>]*>", "", text))
        found.append(0.3 + sum(WORTH.get(word, 0.0) for word in seen))
    return np.array(found)


def _words(text: str, found: Attribution) -> dict[str, float]:
    spans = zip(found.start.tolist(), found.end.tolist(), found.value.tolist(), strict=True)
    return {text[a:b]: round(value, 9) for a, b, value in spans}


def test_words_that_add_up_are_given_what_they_add() -> None:
    found = occlusion(additive, TEXT)
    assert _words(TEXT, found) == {
        "Claim": 0, "fr<i></i>ee": 2.0, "prize": 1.5, "\U0001f600": 0.5, "&amp;": 0, "the": 0,
        "meeting": -2.5,
    }  # fmt: skip
    assert (found.base, found.logit) == (pytest.approx(0.3), pytest.approx(1.8))
    assert (found.method, found.calls, found.seed, found.complete) == ("occlusion", 9, None, True)
    assert found.unexplained == pytest.approx(0.0)
    assert found.seconds > 0


def test_words_that_stand_in_for_each_other_are_not_seen() -> None:
    found = occlusion(lambda texts: np.array([4.0 * ("a" in t or "b" in t) for t in texts]), "a b")
    assert found.value.tolist() == [0.0, 0.0]
    assert found.unexplained == 4.0


def test_a_window_sees_words_that_stand_in_for_each_other() -> None:
    found = occlusion(
        lambda texts: np.array([4.0 * ("a" in t or "b" in t) for t in texts]), "x a b y", window=2
    )
    assert found.value.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_windows_share_what_goes_with_them_among_their_words() -> None:
    found = occlusion(additive, "free prize meeting", window=2)
    assert found.value.tolist() == pytest.approx([1.75, 0.625, -0.5])


def test_a_window_longer_than_the_text_is_the_text() -> None:
    found = occlusion(additive, "free prize", window=9)
    assert found.value.tolist() == pytest.approx([1.75, 1.75])


def test_fewer_evaluations_than_words_make_runs_of_words() -> None:
    text = " ".join(f"w{number}" for number in range(20)) + " free"
    found = occlusion(additive, text, budget=Budget(9))
    assert len(found) == 7
    assert found.calls == 9
    assert not found.complete
    assert text[found.start[-1] : found.end[-1]].endswith(" free")
    assert found.value[-1] == pytest.approx(2.0)


def test_more_words_than_the_limit_are_no_want_of_budget() -> None:
    found = occlusion(additive, "one two three four free", limit=2)
    assert len(found) == 2
    assert found.complete
    assert found.value.tolist() == pytest.approx([0.0, 2.0])


def test_where_the_time_is_up_words_all_over_the_text_have_been_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]

    def score(texts: Sequence[str]) -> np.ndarray:
        now[0] += len(texts)
        return np.array([float(len(text)) for text in texts])

    monkeypatch.setattr("rampart.explain.metering.perf_counter", lambda: now[0])
    found = occlusion(score, "a " * 16, budget=Budget(100, seconds=6.0), batch=1)
    assert (found.calls, found.seconds, found.complete) == (6, 6.0, False)
    assert np.flatnonzero(found.value).tolist() == [0, 4, 8, 12]


def test_phrases_are_the_strongest_that_do_not_overlap() -> None:
    text = "now free prize <b>or</b> the meeting today"
    found = phrases(additive, text, length=2, top_k=5)
    assert _words(text, found) == {"free prize": 3.5, "the meeting": -2.5}
    assert (found.method, found.calls, found.complete) == ("occlusion of phrases", 8, True)
    assert _words(text, phrases(additive, text, length=2, top_k=1)) == {"free prize": 3.5}


@pytest.mark.parametrize("text", ["", " \r\n ", "<p></p>", "\x00\ud800"])
def test_a_text_without_words_has_nothing_to_take_out(text: str) -> None:
    for found in (occlusion(additive, text), phrases(additive, text)):
        assert len(found) == 0
        assert found.base == found.logit
        assert found.complete


@pytest.mark.parametrize("window", [0, -1])
def test_an_empty_window_is_refused(window: int) -> None:
    with pytest.raises(InputError, match=f"window of {window} words"):
        occlusion(additive, TEXT, window=window)
    with pytest.raises(InputError, match=f"window of {window} words"):
        phrases(additive, TEXT, length=window)
