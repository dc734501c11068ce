"""Dead letters are shown, and fed back once, with what they were."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.streaming.harness import Feed, Tally, message
from rampart.cli import app
from rampart.errors import StreamError
from rampart.streaming.connection import Connection, Topics
from rampart.streaming.events import Reason
from rampart.streaming.outlets import produce, producer
from rampart.streaming.replay import Choice, letters, replay
from rampart.streaming.wire import Record


def wait(connection, topic, count):
    tally = Tally(connection, [topic])
    tally.until(count)
    tally.close()


def wait_records(connection, topic, count):
    tally = Tally(connection, [topic])
    while sum(tally.keys.values()) < count:
        tally.read()
    tally.close()


@pytest.fixture
def buried(trial, texts):
    """Three letters of two reasons, and the topics that they lie in; the scorer is gone."""
    with trial() as stream:
        stream.start()
        good = message(texts[0], "late")
        later = [(k, b"io.rampart.message.received.v2" if k == "ce_type" else v)
                 for k, v in good.headers]  # fmt: skip
        Feed(stream.connection, stream.topics.received).all(
            [
                Record(b"late", good.value, later),
                Record(b"broken-1", b"{", good.headers),
                Record(b"broken-2", b"[", good.headers),
                message(texts[1], "fine"),
            ]
        )
        wait(stream.connection, stream.topics.dead_letters, 3)
        wait(stream.connection, stream.topics.verdicts, 1)
        assert stream.scorers[0].stop() == 0
        yield stream


def test_letters_are_fed_back_once_and_as_they_were(buried):
    connection, topics = buried.connection, buried.topics
    chosen = Choice(frozenset({Reason.UNKNOWN_VERSION}))
    done = replay(connection, topics, chosen)
    assert (done.fed, done.passed, done.unfit) == (1, 2, 0)
    assert replay(connection, topics, chosen).fed == 0
    assert replay(connection, topics, chosen, again=True).fed == 1
    back = []
    tally = Tally(connection, [topics.received], keep=back.append)
    tally.rest()
    tally.close()
    originals = [one for one in back if one.key() == b"late"]
    assert len(originals) == 3
    first, *others = originals
    for other in others:
        assert other.value() == first.value()
        headers = dict(other.headers())
        assert headers.pop("rampart-replays") == b"1"
        assert headers == dict(first.headers())


def test_what_is_fed_back_and_bad_still_counts_its_replays_and_ends(buried):
    connection, topics = buried.connection, buried.topics
    chosen = Choice(frozenset({Reason.BAD_DATA}), most_replays=2)
    buried.start()
    for round_, fed in enumerate((2, 2, 0)):
        assert replay(connection, topics, chosen).fed == fed
        if fed:
            wait_records(connection, topics.dead_letters, 3 + 2 * (round_ + 1))
    replays = sorted(one.data.replays for one in letters(connection, topics))
    assert replays == [0, 0, 0, 1, 1, 2, 2]


def test_what_can_be_scored_by_now_gets_its_verdict_by_a_replay(trial, texts):
    with trial() as stream:
        strict = stream.start("--max-text-bytes", "40")
        Feed(stream.connection, stream.topics.received).all([message(texts[0], "long")])
        wait(stream.connection, stream.topics.dead_letters, 1)
        assert strict.stop() == 0
        stream.start()
        [letter] = letters(stream.connection, stream.topics)
        assert letter.data.reason == "too-large"
        assert replay(stream.connection, stream.topics, Choice(ids=frozenset({"x/0/0"}))).fed == 0
        assert replay(stream.connection, stream.topics, Choice(ids=frozenset({letter.id}))).fed == 1
        tally = Tally(stream.connection, [stream.topics.verdicts])
        tally.until(1)
        tally.close()
    assert list(tally.keys) == ["long"]


def test_what_is_too_large_to_come_back_holds_nothing_up(buried, texts):
    connection, topics = buried.connection, buried.topics
    # Of random bytes, which no compression makes smaller: the largest that the topic takes.
    noise = random.Random(0).randbytes(2_000_000)
    writer = producer(connection)
    taken, refused, accepted = 1_900_000, 2_000_000, 0
    while refused - taken > 1:
        size = (taken + refused) // 2
        errors = []
        record = Record(b"large", noise[:size], [("x", b"y")])
        produce(writer, topics.received, record, lambda error, _, to=errors: to.append(error))
        writer.flush()
        if errors[0] is None:
            taken, accepted = size, accepted + 1
        else:
            refused = size
    buried.start()
    wait_records(connection, topics.dead_letters, 3 + accepted)
    done = replay(connection, topics, Choice())
    # The last that was taken is; so are those that lack less than the header takes.
    assert 1 <= done.unfit <= accepted
    assert done.fed + done.unfit == 3 + accepted


def test_the_command_line_shows_letters_and_feeds_them_back(buried, broker, capsys):
    usual = ["--broker", broker.address, "--topics", buried.topics.received[: -len("-received")]]
    app(["stream", "letters", *usual], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "unknown-version" in shown
    assert "3 letters: 2 bad-data, 1 unknown-version." in shown
    app(["stream", "letters", "--json", "--reason", "bad-data", *usual], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert document["count"] == 2
    assert {one["reason"] for one in document["letters"]} == {"bad-data"}
    app(["stream", "replay", "--reason", "bad-data", *usual], standalone_mode=False)
    assert "2 letters fed back" in capsys.readouterr().out


def test_a_topic_that_is_not_there_is_named(broker):
    connection = Connection(bootstrap=broker.address)
    with pytest.raises(StreamError, match="no topic nowhere-dead-letters"):
        list(letters(connection, Topics.of("nowhere", 1)))
