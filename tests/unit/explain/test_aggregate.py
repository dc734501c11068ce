"""Words weigh over many texts what they weigh in each, and versions differ by what changed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InputError
from rampart.explain.aggregate import global_importance, importance_by
from rampart.explain.attribution import Attribution, words
from rampart.explain.contrast import contrast
from rampart.explain.word_values import word_values

_WEIGHTS = {"prize": 2.0, "now": 0.5, "meeting": -1.5}
_TEXTS = ["Claim your PRIZE now", "prize meeting", "the meeting, the agenda", "now or never"]


def _explained(
    text: str, weights: dict[str, float] = _WEIGHTS, method: str = "occlusion"
) -> Attribution:
    """What an additive model with these weights of words says."""
    spans = words(text)
    value = np.array([weights.get(text[a:b].lower(), 0.0) for a, b in spans])
    columns = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return Attribution(
        columns[:, 0], columns[:, 1], value, base=-1.0, logit=value.sum() - 1.0, method=method
    )


def _pairs(texts: list[str] = _TEXTS) -> list[tuple[str, Attribution]]:
    return [(text, _explained(text)) for text in texts]


def _spans(*columns: tuple[int, int, float]) -> Attribution:
    start, end, value = zip(*columns, strict=True)
    return Attribution(np.array(start), np.array(end), np.array(value), 0.0, 0.0, "toy")


def test_a_word_is_known_whatever_its_spelling_and_the_tags_in_it() -> None:
    text = "<p>MO<b></b>NEY \uff4doney <a href='http://x.example/'>here</a></p>"
    inner, wide, link = text.index("MO"), text.index("\uff4d"), text.index("http")
    found = word_values(
        text,
        _spans((inner, inner + 12, 1.0), (wide, wide + 5, 2.0), (link, link + 17, 4.0)),
    )
    assert found == {"money": (3.0, 2), "http://x.example/": (4.0, 1)}


def test_importance_gives_mean_size_count_and_share_of_each_word() -> None:
    found = global_importance(_pairs(), resamples=50)
    assert (found.method, found.texts) == ("occlusion", 4)
    top = {word.word: word for word in found.words}
    assert [word.word for word in found.words[:3]] == ["prize", "meeting", "now"]
    prize, meeting = top["prize"], top["meeting"]
    assert prize.importance.value == pytest.approx(1.0)
    assert prize.mean.value == prize.mean_absolute == 2.0
    assert (prize.count, prize.texts, prize.share) == (2, 2, 0.5)
    assert meeting.mean.value == -1.5
    assert meeting.mean_absolute == 1.5
    assert top["the"].count == 2
    assert top["the"].texts == 1


def test_a_word_twice_in_a_text_is_worth_both_there() -> None:
    found = global_importance(_pairs(["now now", "later"]), resamples=20)
    assert found.words[0].mean.value == 1.0
    assert found.words[0].importance.value == 0.5


def test_a_word_that_pulls_both_ways_is_important_and_has_no_mean() -> None:
    pairs = [("card", _spans((0, 4, 1.0))), ("card", _spans((0, 4, -1.0)))] * 10
    (word,) = global_importance(pairs, resamples=200).words
    assert word.importance.value == word.mean_absolute == 1.0
    assert word.mean.value == 0.0
    assert not word.mean.clear_of_zero
    assert word.importance.clear_of_zero


def test_intervals_hold_the_figure_and_come_from_the_seed() -> None:
    draw = np.random.default_rng(3)
    pairs = [("pay", _spans((0, 3, float(value)))) for value in draw.normal(1.0, 1.0, 60)]
    first, again, other = (
        global_importance(pairs, resamples=400, seed=seed).words[0].mean for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first.low < first.value < first.high
    # Four standard errors wide, for a normal variable.
    assert first.high - first.low == pytest.approx(4 / np.sqrt(60), rel=0.35)


def test_near_duplicates_are_drawn_together() -> None:
    draw = np.random.default_rng(5)
    pairs = [("pay", _spans((0, 3, float(value)))) for value in np.repeat(draw.normal(size=8), 20)]
    campaigns = [f"campaign-{row // 20}" for row in range(160)]
    alone = global_importance(pairs, resamples=300).words[0].mean
    together = global_importance(pairs, campaigns=campaigns, resamples=300).words[0].mean
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_texts_without_a_campaign_stand_for_themselves() -> None:
    pairs = [("pay", _spans((0, 3, float(row)))) for row in range(6)]
    none = global_importance(pairs, resamples=100).words
    for unnamed in ([None] * 6, [""] * 6, [float("nan")] * 6):
        assert global_importance(pairs, campaigns=unnamed, resamples=100).words == none


def test_rare_words_and_weak_ones_can_be_left_out() -> None:
    assert [word.word for word in global_importance(_pairs(), most=2, resamples=5).words] == [
        "prize",
        "meeting",
    ]
    common = global_importance(_pairs(), fewest_texts=2, resamples=5).words
    assert [word.word for word in common] == ["prize", "meeting", "now"]


def test_groups_are_measured_each_by_itself() -> None:
    found = importance_by(_pairs(), ["a", "a", "b", None], resamples=20)
    assert list(found) == ["a", "b"]
    assert found["a"].texts == 2
    assert found["a"] == global_importance(_pairs(_TEXTS[:2]), resamples=20)
    assert list(importance_by(_pairs(), ["a", "a", "b", None], fewest=2, resamples=5)) == ["a"]


def test_slices_may_overlap_and_keep_their_campaigns() -> None:
    masks = {"all": np.ones(4, dtype=bool), "last": np.array([0, 0, 0, 1], dtype=bool)}
    campaigns = ["x", "x", "y", "y"]
    found = importance_by(_pairs(), masks, campaigns=campaigns, resamples=20)
    assert found["all"] == global_importance(_pairs(), campaigns=campaigns, resamples=20)
    assert found["last"].words[0].word == "now"
    none = importance_by(_pairs(), {"none": np.zeros(4, dtype=bool)}, resamples=5)
    assert not none


def test_a_contrast_finds_what_gained_and_what_lost() -> None:
    texts = _TEXTS * 5
    changed = {**_WEIGHTS, "prize": 0.5, "meeting": -0.5}
    found = contrast(
        texts,
        [_explained(text) for text in texts],
        [_explained(text, changed) for text in texts],
        resamples=200,
    )
    assert [shift.word for shift in found.gained] == ["meeting"]
    assert [shift.word for shift in found.lost] == ["prize"]
    (prize,) = found.lost
    assert (prize.old, prize.new, prize.difference.value) == (2.0, 0.5, -1.5)
    assert (prize.texts, prize.share) == (10, 0.5)
    assert found.words[0].word == "prize"
    # Two of four texts lost 1.5 and two gained 1.0.
    assert found.logit.value == pytest.approx((0.5 * -1.5) + (0.5 * 1.0))


def test_a_word_that_one_version_leaves_out_is_worth_nothing_to_it() -> None:
    texts = ["pay now", "pay now"]
    old, new = [_spans((0, 3, 1.0))] * 2, [_spans((4, 7, 2.0))] * 2
    found = {shift.word: shift for shift in contrast(texts, old, new, resamples=20).words}
    assert (found["pay"].old, found["pay"].new) == (1.0, 0.0)
    assert (found["now"].old, found["now"].new) == (0.0, 2.0)


def test_a_shift_is_paired_so_what_both_share_does_not_widen_it() -> None:
    draw = np.random.default_rng(1)
    noise = draw.normal(0, 5, 40)
    old = [_spans((0, 3, float(value))) for value in noise]
    new = [_spans((0, 3, float(value) + 0.5)) for value in noise]
    (shift,) = contrast(["pay"] * 40, old, new, resamples=200).words
    assert shift.difference.low == pytest.approx(0.5)
    assert shift.difference.high == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: global_importance([]), "no text"),
        (lambda: global_importance(_pairs(), resamples=0), "resamples is 0"),
        (lambda: global_importance(_pairs(), campaigns=["a"]), "1 campaigns .* 4 texts"),
        (lambda: global_importance([("a", _spans((0, 9, 1.0)))]), "ends at 9"),
        (
            lambda: global_importance([*_pairs(), ("now", _explained("now", method="lime"))]),
            "occlusion and by lime",
        ),
        (lambda: importance_by(_pairs(), ["a"]), "groups is of 1 texts"),
        (lambda: importance_by(_pairs(), {"s": np.ones(2, dtype=bool)}), "s is of 2 texts"),
        (lambda: contrast(["a"], [], []), "1 texts have 0 and 0"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(call, said) -> None:
    with pytest.raises(InputError, match=said):
        call()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=40) | st.text(alphabet="<b>&amp; a\ud800\u202e\x00ﷺ", max_size=40),
            st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40), st.floats(-5, 5))),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_worth_is_lost_in_any_texts(cases) -> None:
    pairs = []
    for text, spans in cases:
        inside = sorted((a, min(b, len(text)), v) for a, b, v in spans if a < min(b, len(text)))
        pairs.append((text, _spans(*inside) if inside else _spans((0, 1, 0.0))))
    pairs = [(text or " ", attribution) for text, attribution in pairs]
    for text, attribution in pairs:
        found = word_values(text, attribution)
        assert sum(value for value, _ in found.values()) == pytest.approx(attribution.value.sum())
        assert sum(count for _, count in found.values()) == len(attribution)
    assert global_importance(pairs, resamples=3).texts == len(pairs)


@pytest.mark.parametrize("piece", ["ab ", "<b>x", "&amp;", "a\u0301", "\u0301", "ﷺ"])
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        start = np.arange(0, length, 10)
        # Every span reaches to the end: a loop over what each holds would be quadratic.
        attribution = Attribution(
            start, np.full(len(start), length), np.ones(len(start)), 0.0, 0.0, "toy"
        )
        taken = []
        for _ in range(2):
            begun = time.process_time()
            word_values(text, attribution)
            taken.append(time.process_time() - begun)
        return min(taken)

    seconds(1_000)
    # Four times the length: quadratic work would take sixteen times as long.
    assert seconds(120_000) < 9 * max(seconds(30_000), 0.01)
