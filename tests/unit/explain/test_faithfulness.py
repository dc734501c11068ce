"""Faithfulness tells an explanation that is true of its model from one that is not."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.explain.faithfulness import SHARES, Faithfulness, at_random, faithfulness
from rampart.explain.faithfulness_summary import advantage, summarise
from rampart.explain.occlusion import occlusion

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


def _scaled(found: Attribution, factor: float) -> Attribution:
    return replace(found, value=found.value * factor, method=f"times {factor}")


# --- one text ----------------------------------------------------------------------------------


def test_the_words_that_speak_most_for_the_verdict_go_first() -> None:
    (found,) = faithfulness(additive, TEXT, [occlusion(additive, TEXT)], shares=(0.1, 0.2, 0.3))
    assert found.deletion == pytest.approx((2.0, 3.5, 4.5))
    assert found.insertion == pytest.approx((2.0, 3.5, 4.5))
    assert (found.method, found.words, found.shares) == ("occlusion", 10, (0.1, 0.2, 0.3))


def test_a_verdict_of_no_threat_is_measured_towards_threat() -> None:
    text = "meeting meeting free one"
    (found,) = faithfulness(additive, text, [occlusion(additive, text)], shares=(0.25, 0.5, 1.0))
    assert found.deletion == pytest.approx((2.5, 5.0, 3.0))


def test_a_wrong_order_is_less_faithful_by_every_measure() -> None:
    true = occlusion(additive, TEXT)
    good, bad = faithfulness(additive, TEXT, [true, _scaled(true, -1.0)])
    assert np.all(np.array(good.deletion) > np.array(bad.deletion))
    assert np.all(np.array(good.insertion) > np.array(bad.insertion))
    assert good.comprehensiveness > 0.2 > 0.0 > bad.comprehensiveness
    assert good.sufficiency < 0.0 < 0.2 < bad.sufficiency
    assert good.infidelity == pytest.approx(0.0, abs=1e-12)
    assert bad.infidelity > 1.0
    assert (good.misfit, bad.misfit) == (pytest.approx(0.0, abs=1e-12), 1.0)


def test_comprehensiveness_and_sufficiency_are_what_the_probability_loses() -> None:
    (found,) = faithfulness(additive, "free one", [occlusion(additive, "free one")], shares=(0.5,))
    with_free, without = 1 / (1 + math.exp(-2.25)), 1 / (1 + math.exp(-0.25))
    assert found.comprehensiveness == pytest.approx(with_free - without)
    assert found.sufficiency == pytest.approx(0.0)


def test_the_misfit_asks_for_proportions_and_the_infidelity_for_size() -> None:
    true = occlusion(additive, TEXT)
    exact, half = faithfulness(additive, TEXT, [true, _scaled(true, 0.5)])
    assert half.infidelity > 0.1 > exact.infidelity
    assert half.misfit == pytest.approx(0.0, abs=1e-12)
    assert half.deletion == exact.deletion


def test_infidelity_is_the_mean_squared_difference_over_random_words() -> None:
    # Of one word, every deletion is that word: worth 3 by the explanation, 2 by the model.
    true = occlusion(additive, "free")
    (found,) = faithfulness(additive, "free", [_scaled(true, 1.5)])
    assert found.infidelity == pytest.approx(1.0)


def test_where_no_deletion_changes_the_logit_there_is_no_misfit() -> None:
    (found,) = faithfulness(additive, "one two", [occlusion(additive, "one two")])
    assert found.misfit is None
    assert found.infidelity == 0.0


def test_each_methods_cost_is_beside_it() -> None:
    true = replace(occlusion(additive, TEXT), calls=7, seconds=1.5)
    (found,) = faithfulness(additive, TEXT, [true])
    assert (found.calls, found.seconds) == (7, 1.5)


def test_words_that_are_worth_the_same_go_in_an_order_that_lots_decide() -> None:
    text = "free " + "one " * 9
    nothing = _scaled(occlusion(additive, text), 0.0)
    drops = {
        faithfulness(additive, text, [nothing], shares=(0.1,), seed=seed)[0].deletion[0]
        for seed in range(40)
    }
    assert drops == {0.0, 2.0}


def test_the_same_seed_gives_the_same_and_no_text_is_scored_twice() -> None:
    seen: list[str] = []

    def score(texts: Sequence[str]) -> np.ndarray:
        assert len(texts) <= 8
        seen.extend(texts)
        return additive(texts)

    true = occlusion(additive, TEXT)
    first = faithfulness(score, TEXT, [true, true], batch=8, seed=1)
    assert first[0] == first[1]
    # Two ends, 30 at random, and for each share one without and one with; 1, 5 and 10 % are a word.
    assert len(seen) <= 2 + 30 + 2 * 3
    assert faithfulness(additive, TEXT, [true], seed=1)[0] == first[0]
    assert faithfulness(additive, TEXT, [_scaled(true, 0.5)], seed=2)[0] != first[0]


def test_a_span_of_many_words_is_shared_by_them_and_what_is_unseen_stays() -> None:
    text = "<a href='http://x.example/'>free prize</a> or one"
    start, end = text.index("free"), text.index("</a>")
    span = Attribution(
        np.array([text.index("http"), start]), np.array([start - 2, end]), np.array([9.0, 3.5]),
        0.25, 3.75, "spans",
    )  # fmt: skip
    kept = []

    def score(texts: Sequence[str]) -> np.ndarray:
        kept.extend("http://x.example/" in text for text in texts)
        return additive(texts)

    (found,) = faithfulness(score, text, [span], shares=(0.5,))
    assert found.deletion == pytest.approx((3.5,))
    assert all(kept)


@pytest.mark.parametrize("text", ["", " \r\n", "<p></p>"])
def test_a_text_without_words_cannot_be_measured(text: str) -> None:
    with pytest.raises(InputError, match="no word that could be taken out"):
        faithfulness(additive, text, [])


@pytest.mark.parametrize("shares", [(), (0.0,), (0.5, 1.01), (-0.1,)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="The shares are"):
        faithfulness(additive, TEXT, [], shares=shares)


def test_no_perturbations_and_anothers_explanation_are_refused() -> None:
    with pytest.raises(InputError, match="0 perturbations"):
        faithfulness(additive, TEXT, [], perturbations=0)
    with pytest.raises(InputError, match="the text at 4"):
        faithfulness(additive, "free", [occlusion(additive, TEXT)])


def test_any_method_is_better_than_values_at_random() -> None:
    text = " ".join(f"w{number}" for number in range(30)) + " free prize win"
    ours, lots = [], []
    for seed in range(20):
        pair = [occlusion(additive, text), at_random(additive, text, seed=seed)]
        one, other = faithfulness(additive, text, pair, seed=seed)
        ours.append(one)
        lots.append(other)
    found = advantage(ours, lots)
    assert found.methods == ("occlusion", "random")
    assert all(interval.low > 0 for interval in found.difference)
    assert at_random(additive, text).method == "random"


@settings(max_examples=100, deadline=None)
@given(HOSTILE, st.integers(0, 5))
def test_any_text_with_words_is_measured(text: str, seed: int) -> None:
    values = at_random(additive, text, seed=seed)
    if len(values):
        (found,) = faithfulness(additive, text, [values], perturbations=5, seed=seed)
        assert len(found.deletion) == len(SHARES)
        assert found.misfit is None or 0.0 <= found.misfit <= 1.0 + 1e-9


# --- many texts --------------------------------------------------------------------------------


def _measured(deletion: float, misfit: float | None = 0.5, method: str = "m") -> Faithfulness:
    return Faithfulness(
        method=method, words=5, shares=(0.1, 0.2), deletion=(deletion, 2 * deletion),
        insertion=(1.0, 2.0), comprehensiveness=0.3, sufficiency=0.1, infidelity=4.0,
        misfit=misfit, calls=10, seconds=0.5,
    )  # fmt: skip


def test_a_summary_holds_means_with_intervals_that_the_spread_widens() -> None:
    found = summarise([_measured(1.0), _measured(3.0), _measured(2.0)])
    assert (found.method, found.texts, found.shares) == ("m", 3, (0.1, 0.2))
    assert [interval.value for interval in found.deletion] == pytest.approx([2.0, 4.0])
    assert found.deletion[0].low < 2.0 < found.deletion[0].high
    assert (found.insertion[1].low, found.insertion[1].high) == pytest.approx((2.0, 2.0))
    assert found.infidelity.value == pytest.approx(4.0)
    assert (found.calls, found.seconds) == (10.0, 0.5)
    assert summarise([_measured(1.0), _measured(3.0)], seed=1) == summarise(
        [_measured(1.0), _measured(3.0)], seed=1
    )


def test_a_misfit_that_is_nowhere_defined_has_no_mean() -> None:
    assert summarise([_measured(1.0, None)]).misfit is None
    found = summarise([_measured(1.0, None), _measured(1.0, 0.25), _measured(1.0, 0.75)]).misfit
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_campaigns_are_drawn_whole() -> None:
    measured = [_measured(float(value)) for value in (0, 0, 0, 0, 4, 4, 4, 4)]
    alone = summarise(measured).deletion[0]
    whole = summarise(measured, campaigns=list("aaaabbbb")).deletion[0]
    assert whole.high - whole.low > alone.high - alone.low
    assert (whole.low, whole.high) == (0.0, 4.0)


def test_an_advantage_is_paired_by_text() -> None:
    ours = [_measured(value, method="ours") for value in (2.0, 12.0, 22.0)]
    theirs = [_measured(value, method="theirs") for value in (1.0, 11.0, 21.0)]
    found = advantage(ours, theirs)
    assert (found.methods, found.texts) == (("ours", "theirs"), 3)
    assert (found.difference[0].low, found.difference[0].high) == pytest.approx((1.0, 1.0))
    ratio = found.ratio[0]
    assert ratio is not None
    assert ratio.value == pytest.approx(36 / 33)
    assert advantage(ours, [_measured(-1.0)] * 3).ratio == (None, None)


def test_what_does_not_belong_together_is_not_added_up() -> None:
    with pytest.raises(InputError, match="Several methods or shares"):
        summarise([_measured(1.0), _measured(1.0, method="other")])
    with pytest.raises(InputError, match="no text"):
        summarise([])
    with pytest.raises(InputError, match="1 and 2 texts"):
        advantage([_measured(1.0)], [_measured(1.0)] * 2)
    with pytest.raises(InputError, match="The shares are"):
        advantage([_measured(1.0)], [replace(_measured(1.0), shares=(0.1, 0.3))])
