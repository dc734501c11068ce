"""A message whose fault may pass comes again, later and later, and holds nobody up meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.streaming.harness import Feed, Tally, message
from rampart.errors import InputError
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from rampart.streaming.events import DeadLetter
from rampart.streaming.letters import Retries
from rampart.streaming.processor import Processor
from rampart.streaming.scoring import About, Scores
from rampart.streaming.wire import Record, data_of, from_record

pytestmark = pytest.mark.stream
NOTHING = np.zeros(0, dtype=np.int64)
WAITS = (1.0, 2.0, 4.0)


class Moody:
    """Stands in for a model that fails on some texts, which no real one here does.

    Attributes:
        fails: times that each text fails before it is answered.
    """

    texts = 8
    calls = 4

    def __init__(self, **fails):
        self.fails = fails
        self.asked = []

    def submit(self, texts):
        future = Future()
        error = None
        for text in texts:
            if self.fails.get(text, 0) > 0:
                self.fails[text] -= len(texts) == 1
                self.asked += [(text, time.time())] if len(texts) == 1 else []
                error = InputError("never") if text == "refused" else RuntimeError("not now")
        if error is not None:
            future.set_exception(error)
        else:
            nothing = Contributions(NOTHING, NOTHING, np.zeros(0), -2.0)
            verdicts = [Verdict("ham", 0.1, -2.0, "moody", nothing) for _ in texts]
            future.set_result(Scores(verdicts, About("b", 0.5, "spam", "terms")))
        return future

    def close(self):
        pass


@contextmanager
def processing(stream, scorer, guarantee):
    stop = threading.Event()
    processor = Processor(
        stream.connection,
        stream.topics,
        scorer,
        guarantee=guarantee,
        identity=f"{stream.topics.received}-retries",
        retries=Retries(stream.topics.retries, WAITS),
    )
    errors = []

    def run():
        try:
            processor.run(stop.is_set)
        except Exception as error:  # noqa: BLE001 - the test fails with it
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield processor
    finally:
        stop.set()
        thread.join(60)
    assert not errors


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_each_message_gets_what_its_own_fault_deserves(trial, guarantee):
    scorer = Moody(twice=2, always=99, refused=1)
    with trial() as stream, processing(stream, scorer, guarantee):
        feed = Feed(stream.connection, stream.topics.received)
        others = [message("fine", f"m-{number}") for number in range(200)]
        odd = [message(text, text) for text in ("twice", "always", "refused")]
        begun = time.time()
        feed.all([*others[:100], *odd, *others[100:]])
        verdicts = Tally(stream.connection, [stream.topics.verdicts])
        verdicts.until(200)
        at_once = time.time() - begun
        verdicts.until(201)
        found = {}

        def keep(one):
            letter = data_of(from_record(Record(one.key(), one.value(), one.headers())), DeadLetter)
            found[one.key().decode()] = letter

        letters = Tally(stream.connection, [stream.topics.dead_letters], keep=keep)
        letters.until(2)
        for tally in (verdicts, letters):
            tally.rest(0.5)
            tally.close()
    assert verdicts.repeats == 0
    assert verdicts.keys.keys() == {"twice", *(f"m-{number}" for number in range(200))}
    assert (found["refused"].reason, found["refused"].attempts) == ("refused", 1)
    assert (found["always"].reason, found["always"].attempts) == ("exhausted", 4)
    assert found["always"].origin.topic == stream.topics.received
    assert "not now" in found["always"].detail
    times = [at for text, at in scorer.asked if text == "always"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 3
    for gap, wait in zip(gaps, WAITS, strict=True):
        assert gap >= wait - 0.01
    # The others did not wait for those that came again.
    assert at_once < times[-1] - begun
