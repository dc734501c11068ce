"""Whose fault it is: the message's own, or an outage that nobody's attempts count for."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime

import numpy as np
import pytest

from rampart.errors import InputError, OverloadedError, UnknownModelError
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from rampart.streaming.breaker import Breaker
from rampart.streaming.calls import Calls, Scored
from rampart.streaming.events import RECEIVED, Origin, Received
from rampart.streaming.lanes import Entry, Lane
from rampart.streaming.letters import Passage
from rampart.streaming.scoring import PROBE, About, Message, Scores
from rampart.streaming.wire import Record, event

NOW = datetime(2026, 11, 28, tzinfo=UTC)
NOTHING = np.zeros(0, dtype=np.int64)
ABOUT = About("b", 0.5, "spam", "terms")


def verdict(text):
    return Verdict("ham", 0.1, -2.0, text, Contributions(NOTHING, NOTHING, np.zeros(0), -2.0))


class Scripted:
    """Answers as it is told: by text, an error that is raised for any call that holds it."""

    def __init__(self, texts=1, calls=4, **wrong):
        self.texts = texts
        self.calls = calls
        self.wrong = wrong
        self.down = None
        self.asked = []

    def submit(self, texts):
        self.asked.append(list(texts))
        future = Future()
        error = self.down or next((self.wrong[one] for one in texts if one in self.wrong), None)
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(Scores([verdict(text) for text in texts], ABOUT))
        return future

    def close(self):
        pass


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def calls(scorer, clock, **settings):
    return Calls(scorer, Breaker(first=1, clock=clock), seconds=0, **settings)


def given(*texts):
    """Entries of one lane, and their messages."""
    lane = Lane(("mail-received", 0))
    found = []
    for offset, text in enumerate(texts):
        origin = Origin(topic="mail-received", partition=0, offset=offset)
        entry = Entry(lane, offset, Record(None, b""), 1, NOW, 0.0, Passage(origin))
        told = event(RECEIVED, Received(text=text), id=text, source="/x", time=NOW)
        found.append((entry, Message(told, Received(text=text), text, NOW)))
    return found


def run(one, pairs=(), rounds=12):
    for pair in pairs:
        one.add(*pair)
    back = []
    for _ in range(rounds):
        one.ask()
        back += one.come_back()
    return back


def kinds(back):
    return {
        one.entry.offset: "scored"
        if isinstance(one, Scored)
        else ("lasting" if one.lasting else "passing")
        for one in back
    }


def test_messages_are_scored_and_keep_their_verdicts(clock):
    back = run(calls(Scripted(texts=2), clock), given("a", "b", "c"))
    assert {one.message.text: one.verdict.stage for one in back} == {"a": "a", "b": "b", "c": "c"}


def test_an_answer_that_comes_while_others_are_looked_for_is_not_lost(clock):
    class Late(Future):
        """Done from the second time on that anybody asks."""

        asked = False

        def done(self):
            before, self.asked = self.asked, True
            return before and super().done()

    class Slow(Scripted):
        def submit(self, texts):
            future = Late() if texts == ["b"] else Future()
            future.set_result(super().submit(texts).result())
            return future

    back = run(calls(Slow(texts=1), clock), given("a", "b"))
    assert kinds(back) == {0: "scored", 1: "scored"}


def test_a_text_that_is_refused_is_faulty_for_good_and_takes_no_other_with_it(clock):
    scorer = Scripted(texts=8, b=InputError("no"))
    back = run(calls(scorer, clock), given("a", "b", "c"))
    assert kinds(back) == {0: "scored", 1: "lasting", 2: "scored"}
    assert [PROBE] not in scorer.asked


def test_a_text_that_breaks_the_scorer_is_faulty_for_now(clock):
    scorer = Scripted(texts=8, b=ValueError("broken"))
    one = calls(scorer, clock)
    back = run(one, given("a", "b", "c"))
    assert kinds(back) == {0: "scored", 1: "passing", 2: "scored"}
    assert [PROBE] in scorer.asked
    assert one.breaker.closed


@pytest.mark.parametrize(
    "error", [OverloadedError("busy"), UnknownModelError("what?"), ConnectionError("gone")]
)
def test_an_outage_is_waited_out_and_nobodys_fault(clock, error):
    scorer = Scripted(texts=2)
    scorer.down = error
    one = calls(scorer, clock)
    assert run(one, given("a", "b", "c")) == []
    assert not one.breaker.closed
    asked = len(scorer.asked)
    assert run(one) == []
    assert len(scorer.asked) == asked, "nothing is asked while it is open"
    clock.now = 1
    assert run(one) == []
    assert scorer.asked[asked:] == [[PROBE]]
    scorer.down = None
    clock.now = 4
    assert kinds(run(one)) == {0: "scored", 1: "scored", 2: "scored"}
    assert one.breaker.closed


def test_a_text_that_is_under_way_in_every_outage_is_suspected_in_the_end(clock):
    # Such as one that ends the predictor, which then is away for a while.
    scorer = Scripted(texts=8, b=OverloadedError("gone"))
    one = calls(scorer, clock)
    back = run(one, given("a", "b", "c"))
    for _ in range(12):
        clock.now += 60
        back += run(one)
    assert kinds(back) == {0: "scored", 1: "passing", 2: "scored"}


def test_texts_that_fail_beside_the_one_that_is_to_blame_do_not_shield_it(clock):
    # It hangs the predictor: whatever is asked meanwhile fails too, and so does the probe.
    class Hung(Scripted):
        def __init__(self):
            super().__init__(texts=1, calls=4)
            self.waiting = []

        def submit(self, texts):
            self.asked.append(list(texts))
            self.waiting.append((list(texts), Future()))
            return self.waiting[-1][1]

        def end(self):
            hung = any(texts == ["bad"] for texts, _ in self.waiting)
            for texts, future in self.waiting:
                if hung:
                    future.set_exception(TimeoutError())
                else:
                    future.set_result(Scores([verdict(text) for text in texts], ABOUT))
            # What is asked right after it still finds it hung.
            self.waiting = []
            return hung

    scorer = Hung()
    one = calls(scorer, clock)
    for pair in given("a", "b", "bad", "c"):
        one.add(*pair)
    back = []
    for _ in range(200):
        one.ask()
        if scorer.end():
            back += one.come_back()
            # The probe that was sent for it.
            for _, future in scorer.waiting:
                future.set_exception(TimeoutError())
            scorer.waiting = []
        back += one.come_back()
        clock.now += 60
    assert sorted(kinds(back)) == [0, 1, 2, 3]
    assert kinds(back)[2] == "passing"


def test_what_belongs_to_another_by_now_is_not_asked_about(clock):
    scorer = Scripted()
    one = calls(scorer, clock)
    pairs = given("a", "b")
    for pair in pairs:
        one.add(*pair)
    pairs[0][0].lane.gone = True
    assert run(one) == []
    assert scorer.asked == []
    others = given("c")
    one.add(*others[0])
    one.forget([others[0][0].lane])
    assert run(one) == []
    assert one.waiting == 0


def test_a_call_holds_no_more_texts_and_tokens_than_it_may(clock):
    scorer = Scripted(texts=3, calls=99)
    run(calls(scorer, clock, tokens=100), given("a", "b", "c", "d", "x" * 4_000, "e"))
    assert [len(texts) for texts in scorer.asked] == [3, 1, 1, 1]


def test_no_more_calls_are_open_than_may_be(clock):
    class Slow(Scripted):
        def submit(self, texts):
            self.asked.append(list(texts))
            return Future()

    scorer = Slow(calls=2)
    one = calls(scorer, clock)
    run(one, given("a", "b", "c"))
    assert (one.unanswered, one.waiting) == (2, 1)
    assert one.busy
