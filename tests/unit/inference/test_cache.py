"""Verdicts are kept by the text as sent, the question and the bundle, in bounded memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.explain.contributions import Contributions
from rampart.inference.cache import VerdictCache
from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

ASKED = ScoreOptions()


def verdict(label: str = "ham", spans: int = 0) -> Verdict:
    places = np.arange(spans, dtype=np.int64)
    return Verdict(label, 0.1, -2.0, "s", Contributions(places, places + 1, np.zeros(spans), 0.0))


def key(text: str, bundle: str = "b", options: ScoreOptions = ASKED):
    return VerdictCache.key(bundle, text, options)


@pytest.mark.parametrize(
    "other",
    [
        key("Text"),
        key("text "),
        key("text", bundle="c"),
        key("text", options=ScoreOptions(top_k=3)),
        key("text", options=ScoreOptions(explain="none")),
        key("text", options=ScoreOptions(threshold=0.5)),
        key("text", options=ScoreOptions(models=("ngram",))),
    ],
)
def test_nothing_but_the_same_question_is_answered(other) -> None:
    cache = VerdictCache(10_000)
    kept = verdict()
    cache.put(key("text"), kept)
    assert cache.get(other) is None
    assert cache.get(key("text")) is kept
    assert (cache.hits, cache.misses) == (1, 1)


def test_a_lone_surrogate_is_a_text_like_any_other() -> None:
    assert key("\ud800") != key("\ufffd")


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = VerdictCache(0)
    cache.put(key("text"), verdict())
    assert (len(cache), cache.bytes) == (0, 0)


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    cache = VerdictCache(3 * 1_300)
    for name in "abc":
        cache.put(key(name), verdict(name))
    assert cache.get(key("a")) is not None
    cache.put(key("d"), verdict("d"))
    assert [cache.get(key(name)) is not None for name in "abcd"] == [True, False, True, True]


def test_the_same_text_again_takes_no_more_room() -> None:
    cache = VerdictCache(10_000)
    for spans in (0, 4, 0):
        cache.put(key("text"), verdict(spans=spans))
    alone = VerdictCache(10_000)
    alone.put(key("text"), verdict())
    assert (len(cache), cache.bytes) == (1, alone.bytes)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200)), max_size=80))
def test_it_never_holds_more_than_its_limit(asked: list[tuple[int, int]]) -> None:
    cache = VerdictCache(12_000)
    for name, spans in asked:
        cache.put(key(str(name)), verdict(str(name), spans))
        assert cache.bytes <= cache.limit
        found = cache.get(key(str(name)))
        assert found is None or found.label == str(name)


def test_threads_do_not_break_its_count() -> None:
    cache = VerdictCache(20_000)

    def work(seed: int) -> None:
        draw = np.random.default_rng(seed)
        for name in draw.integers(0, 40, 2_000).tolist():
            if cache.get(key(str(name))) is None:
                cache.put(key(str(name)), verdict(str(name)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.hits + cache.misses == 8_000
    assert cache.bytes <= cache.limit
