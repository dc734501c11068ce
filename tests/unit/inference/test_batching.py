"""Many callers share batches, and each gets the verdicts on his own texts and no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rampart.errors import InputError, OverloadedError
from rampart.explain.contributions import Contributions
from rampart.inference.batching import Batcher
from rampart.inference.cache import VerdictCache
from rampart.inference.calls import tokens_of
from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict

PLAIN, OTHER = ScoreOptions(), ScoreOptions(top_k=3)


def verdict(text: str, options: ScoreOptions) -> Verdict:
    """Says which text it is of, and how it was asked for."""
    nothing = np.zeros(0, dtype=np.int64)
    parts = Contributions(nothing, nothing, np.zeros(0), float(options.top_k))
    return Verdict(text, 0.5, 0.0, "stage", parts)


class Begun:
    """Settles at once what does not say that it is hard."""

    def __init__(self, scorer: Scorer, texts: Sequence[str], options: ScoreOptions) -> None:
        self.scorer, self.texts, self.options = scorer, texts, options
        self.settled = self._verdicts(easy=True)

    @property
    def left(self) -> int:
        return len(self.texts) - len(self.settled)

    def rest(self) -> dict[int, Verdict]:
        assert self.scorer.second.wait(30)
        hard = [text for text in self.texts if "hard" in text]
        self.scorer.hard.append(hard)
        if any("fail" in text for text in hard):
            raise InputError(f"cannot score {next(text for text in hard if 'fail' in text)}")
        return self._verdicts(easy=False)

    def rest_with(self, others: Sequence[Begun]) -> list[dict[int, Verdict]]:
        self.scorer.joined.append(1 + len(others))
        self.scorer.asked.set()
        return [one.rest() for one in (self, *others)]

    def _verdicts(self, *, easy: bool) -> dict[int, Verdict]:
        return {
            row: verdict(text, self.options)
            for row, text in enumerate(self.texts)
            if ("hard" not in text) == easy
        }


class Scorer:
    """Remembers its batches; can be held, and fails on a text that says so."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], ScoreOptions]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.second = threading.Event()
        self.second.set()
        self.hard: list[list[str]] = []
        self.joined: list[int] = []
        self.asked = threading.Event()

    def __call__(self, texts: Sequence[str], options: ScoreOptions) -> Begun:
        self.entered.set()
        assert self.gate.wait(30)
        self.batches.append((list(texts), options))
        for text in texts:
            if text.startswith("fail"):
                raise InputError(f"cannot score {text}")
        return Begun(self, texts, options)

    def hold(self) -> None:
        self.gate.clear()
        self.entered.clear()


@pytest.fixture
def scorer() -> Scorer:
    return Scorer()


def labels(found: Sequence[Verdict]) -> list[str]:
    return [one.label for one in found]


def held(batcher: Batcher, scorer: Scorer):
    """A call that keeps the thread busy, so that what comes next gathers."""
    scorer.hold()
    first = batcher.submit(["held"])
    assert scorer.entered.wait(30)
    return first


def test_a_single_call_does_not_wait_for_others(scorer: Scorer) -> None:
    assert labels(Batcher(scorer).submit(["a", "b"]).result(30)) == ["a", "b"]
    assert scorer.batches == [(["a", "b"], PLAIN)]


def test_no_text_is_no_work(scorer: Scorer) -> None:
    assert Batcher(scorer).submit([]).result(30) == []
    assert scorer.batches == []


def test_what_gathers_while_a_batch_runs_shares_the_next_one(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    calls = [batcher.submit([f"{number}", f"{number}b"]) for number in range(5)]
    scorer.gate.set()
    for number, call in enumerate(calls):
        assert labels(call.result(30)) == [f"{number}", f"{number}b"]
    assert len(scorer.batches) == 2


def test_calls_that_ask_otherwise_are_not_mixed(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    calls = [batcher.submit(["x"], options) for options in (PLAIN, OTHER, PLAIN, OTHER)]
    scorer.gate.set()
    assert [call.result(30)[0].explanation.bias for call in calls] == [10, 3, 10, 3]
    assert [options for _, options in scorer.batches] == [PLAIN, PLAIN, OTHER]


def test_a_batch_is_bounded_by_tokens_and_not_by_texts(scorer: Scorer) -> None:
    text = "long " * 80
    bound = 4 * tokens_of(text)
    batcher = Batcher(scorer, tokens=bound)
    texts = [f"{text}{number:02d}" for number in range(9)] + list("abcdefghijkl")
    assert labels(batcher.submit(texts).result(30)) == texts
    for batch, _ in scorer.batches:
        assert sum(map(tokens_of, batch)) <= bound
    assert max(len(batch) for batch, _ in scorer.batches) > 4


def test_a_text_larger_than_a_batch_has_one_of_its_own(scorer: Scorer) -> None:
    batcher = Batcher(scorer, tokens=50)
    huge = "x" * 10_000
    assert labels(batcher.submit(["a", huge, "b"]).result(30)) == ["a", huge, "b"]
    assert ([huge], PLAIN) in scorer.batches


def test_a_small_call_has_its_turn_between_the_slices_of_a_large_one(scorer: Scorer) -> None:
    batcher = Batcher(scorer, tokens=10 * tokens_of("large-000"))
    held(batcher, scorer)
    large = batcher.submit([f"large-{number:03d}" for number in range(200)])
    small = batcher.submit(["small"])
    scorer.gate.set()
    assert labels(small.result(30)) == ["small"]
    assert len(large.result(30)) == 200
    place = next(at for at, (batch, _) in enumerate(scorer.batches) if "small" in batch)
    assert place <= 2
    assert len(scorer.batches) > 15


def test_the_same_text_twice_is_scored_once_and_answered_twice(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    calls = [batcher.submit(["same", "own"]), batcher.submit(["same"])]
    scorer.gate.set()
    assert [labels(call.result(30)) for call in calls] == [["same", "own"], ["same"]]
    assert scorer.batches[1] == (["same", "own"], PLAIN)


def test_an_error_stays_with_the_call_that_caused_it(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    good, bad, fine = (batcher.submit([text]) for text in ("good", "fail here", "fine"))
    scorer.gate.set()
    assert labels(good.result(30)) == ["good"]
    assert labels(fine.result(30)) == ["fine"]
    with pytest.raises(InputError, match="fail here"):
        bad.result(30)


def test_a_cancelled_call_is_not_scored(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    gone, kept = batcher.submit(["gone"]), batcher.submit(["kept"])
    assert gone.cancel()
    scorer.gate.set()
    assert labels(kept.result(30)) == ["kept"]
    assert all("gone" not in batch for batch, _ in scorer.batches)
    with pytest.raises(CancelledError):
        gone.result(0)


def test_a_large_call_can_be_cancelled_between_its_slices(scorer: Scorer) -> None:
    batcher = Batcher(scorer, tokens=2 * tokens_of("large-000"))
    held(batcher, scorer)
    large = batcher.submit([f"large-{number:03d}" for number in range(400)])
    after = batcher.submit(["after"])
    # Cancelled from the batch that answers the other one, with most of its slices still to come.
    after.add_done_callback(lambda _: large.cancel())
    scorer.gate.set()
    assert labels(after.result(30)) == ["after"]
    assert labels(batcher.submit(["later"]).result(30)) == ["later"]
    assert large.cancelled()
    assert sum(len(batch) for batch, _ in scorer.batches) < 10


def test_one_more_than_may_wait_is_refused_and_the_others_are_answered(scorer: Scorer) -> None:
    batcher = Batcher(scorer, waiting=2)
    first = held(batcher, scorer)
    calls = [batcher.submit([name]) for name in "ab"]
    assert batcher.depth == 2
    assert batcher.unfinished == 3
    with pytest.raises(OverloadedError, match="2 requests are waiting"):
        batcher.submit(["c"])
    assert calls[1].cancel()
    calls[1] = batcher.submit(["b"])
    scorer.gate.set()
    assert [labels(call.result(30)) for call in (first, *calls)] == [["held"], ["a"], ["b"]]
    deadline = time.monotonic() + 30
    while batcher.unfinished:
        assert time.monotonic() < deadline
    assert batcher.depth == 0


def test_full_it_refuses_unread_and_now_and_then_reads_one_all_the_same(scorer: Scorer) -> None:
    cache = VerdictCache(100_000)
    batcher, without = (Batcher(scorer, waiting=1, cache=one) for one in (cache, None))
    assert not batcher.refuses()
    waiting = [held(batcher, scorer), batcher.submit(["a"])]
    assert [batcher.refuses() for _ in range(32)].count(False) == 2
    waiting += [without.submit(["b"]), without.submit(["c"])]
    assert all(without.refuses() for _ in range(32))
    scorer.gate.set()
    assert [labels(one.result(30)) for one in waiting] == [["held"], ["a"], ["b"], ["c"]]
    assert not batcher.refuses()
    assert not without.refuses()


def test_where_the_cache_answers_some_it_is_worth_reading_them(scorer: Scorer) -> None:
    batcher = Batcher(scorer, waiting=1, cache=VerdictCache(100_000))
    for _ in range(20):
        batcher.submit(["again"]).result(30)
    waiting = [held(batcher, scorer), batcher.submit(["a"])]
    assert not any(batcher.refuses() for _ in range(32))
    assert labels(batcher.submit(["again"]).result(30)) == ["again"]
    for number in range(200):
        with pytest.raises(OverloadedError):
            batcher.submit([f"new {number}"])
    assert batcher.refuses()
    scorer.gate.set()
    assert [labels(one.result(30)) for one in waiting] == [["held"], ["a"]]


def test_closed_it_answers_what_it_took_and_takes_no_more(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    call = batcher.submit(["last"])
    threading.Timer(0.1, scorer.gate.set).start()
    batcher.close()
    assert labels(call.result(0)) == ["last"]
    assert not batcher.alive
    with pytest.raises(OverloadedError):
        batcher.submit(["late"])


def test_what_was_seen_before_is_answered_without_the_thread(scorer: Scorer) -> None:
    batcher = Batcher(scorer, cache=VerdictCache(1_000_000), bundle="b1")
    assert labels(batcher.submit(["a", "b"]).result(30)) == ["a", "b"]
    scorer.hold()
    assert labels(batcher.submit(["b", "a"]).result(0)) == ["b", "a"]
    mixed = batcher.submit(["a", "new"])
    assert not mixed.done()
    asked_otherwise = batcher.submit(["a"], OTHER)
    assert not asked_otherwise.done()
    scorer.gate.set()
    assert labels(mixed.result(30)) == ["a", "new"]
    assert asked_otherwise.result(30)[0].explanation.bias == 3
    assert scorer.batches[1] == (["new"], PLAIN)
    assert (batcher.cache.hits, batcher.cache.misses) == (3, 4)


def test_what_is_settled_at_once_does_not_wait_for_what_is_not(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    scorer.second.clear()
    hard = batcher.submit(["hard 1", "easy"])
    assert [labels(batcher.submit([name]).result(30)) for name in "ab"] == [["a"], ["b"]]
    assert not hard.done()
    assert batcher.unfinished == 1
    scorer.second.set()
    assert labels(hard.result(30)) == ["hard 1", "easy"]
    assert scorer.hard == [["hard 1"]]


def test_what_gathers_for_the_dear_models_is_asked_together_where_it_asks_alike(
    scorer: Scorer,
) -> None:
    batcher = Batcher(scorer, tokens=4 * tokens_of("hard 1"))
    scorer.second.clear()
    first = batcher.submit(["hard 0"])
    assert scorer.asked.wait(30)
    calls = []
    for number, options in enumerate([PLAIN, PLAIN, PLAIN, PLAIN, PLAIN, OTHER, PLAIN]):
        calls.append(batcher.submit([f"hard {number}", "easy"], options))
        # What is easy has come by the first lane, so the rest is in the second.
        assert labels(batcher.submit(["easy"], options).result(30)) == ["easy"]
    scorer.second.set()
    assert labels(first.result(30)) == ["hard 0"]
    for number, call in enumerate(calls):
        assert labels(call.result(30)) == [f"hard {number}", "easy"]
    assert scorer.joined == [1, 4, 1, 1, 1]


def test_where_those_asked_together_fail_each_is_asked_alone(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    scorer.second.clear()
    first = batcher.submit(["hard 0"])
    assert labels(batcher.submit(["easy"]).result(30)) == ["easy"]
    names = ["hard 1", "hard fail", "hard 2"]
    calls = []
    for name in names:
        calls.append(batcher.submit([name]))
        assert labels(batcher.submit(["easy"]).result(30)) == ["easy"]
    scorer.second.set()
    assert labels(first.result(30)) == ["hard 0"]
    assert [labels(calls[place].result(30)) for place in (0, 2)] == [["hard 1"], ["hard 2"]]
    with pytest.raises(InputError, match="hard fail"):
        calls[1].result(30)


def test_an_error_in_the_second_lane_stays_with_its_call(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    held(batcher, scorer)
    good, bad = batcher.submit(["hard good", "easy"]), batcher.submit(["hard fail"])
    scorer.gate.set()
    assert labels(good.result(30)) == ["hard good", "easy"]
    with pytest.raises(InputError, match="hard fail"):
        bad.result(30)


def test_nobody_is_asked_about_what_was_cancelled_between_the_lanes(scorer: Scorer) -> None:
    batcher = Batcher(scorer)
    scorer.second.clear()
    first = batcher.submit(["hard 1"])
    assert scorer.asked.wait(30)
    gone = batcher.submit(["hard gone"])
    assert labels(batcher.submit(["easy"]).result(30)) == ["easy"]
    assert gone.cancel()
    scorer.second.set()
    assert labels(first.result(30)) == ["hard 1"]
    assert labels(batcher.submit(["hard 2"]).result(30)) == ["hard 2"]
    assert scorer.hard == [["hard 1"], ["hard 2"]]


def test_batches_and_calls_are_told(scorer: Scorer) -> None:
    batches: list[tuple[int, float]] = []
    calls: list[float] = []
    batcher = Batcher(scorer, on_batch=lambda *told: batches.append(told), on_call=calls.append)
    batcher.submit(["a", "b"]).result(30)
    assert [count for count, _ in batches] == [2]
    assert all(seconds >= 0 for seconds in (batches[0][1], *calls))
    assert len(calls) == 1


_TEXT = st.sampled_from(["a", "b", "c" * 40, "d" * 400, "fail 1", "hard e", "hard fail 2"])
_CALL = st.tuples(
    st.lists(_TEXT, max_size=12), st.sampled_from([PLAIN, OTHER]), st.sampled_from("wwwcs")
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(_CALL, min_size=1, max_size=24),
    tokens=st.integers(20, 400),
    kept=st.sampled_from([0, 3_000, 1_000_000]),
)
def test_whatever_the_interleaving_each_call_gets_its_own_verdicts_or_its_own_error(
    calls: list[tuple[list[str], ScoreOptions, str]], tokens: int, kept: int
) -> None:
    batcher = Batcher(Scorer(), waiting=1_000, tokens=tokens, cache=VerdictCache(kept))

    def one(call: tuple[list[str], ScoreOptions, str]) -> None:
        texts, options, way = call
        future = batcher.submit(texts, options)
        if way == "c":
            future.cancel()
        if way == "s":
            time.sleep(0.0005)
            future.cancel()
        try:
            found = future.result(30)
        except CancelledError:
            assert way in "cs"
        except InputError as error:
            assert str(error).split("score ")[1].rstrip(".") in texts  # noqa: PT017 - either may be
        else:
            assert not any("fail" in text for text in texts)
            assert labels(found) == texts
            assert {item.explanation.bias for item in found} <= {float(options.top_k)}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, calls))
    batcher.close()
    assert batcher.unfinished == 0
