"""Records made to break a scorer: each is answered, and the next message gets its verdict."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from benchmarks.streaming.harness import Feed, Tally, message
from rampart.streaming.events import DeadLetter
from rampart.streaming.wire import Record, data_of, from_record

pytestmark = pytest.mark.stream


def letters_and_verdicts(stream, letters, verdicts):
    found = []
    tally = Tally(stream.connection, [stream.topics.dead_letters], keep=found.append)
    tally.until(letters)
    tally.close()
    other = Tally(stream.connection, [stream.topics.verdicts])
    other.until(verdicts)
    other.close()
    return [
        data_of(from_record(Record(one.key(), one.value(), one.headers())), DeadLetter)
        for one in found
    ], other


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_no_record_stops_a_scorer(trial, texts, guarantee):
    with trial("--guarantee", guarantee, partitions=1) as stream:
        scorer = stream.start()
        good = message(texts[0], "m-0")
        old = [(k, b"0001-01-01T00:00:00+14:00" if k == "ce_time" else v) for k, v in good.headers]
        long = [(k, b"x" * 1_000 if k == "ce_id" else v) for k, v in good.headers]
        deep = b'{"specversion":"1.0","id":"d","source":"/x","type":"t","data":' + b"[" * 600
        deep += b"]" * 600 + b"}"
        structured = [("content-type", b"application/cloudevents+json")]
        hostile = [
            Record(os.urandom(700_000), b"junk", ()),
            Record(b"a" * 1_900_000, b"junk", ()),
            Record(b"headers", good.value, [(f"h{n}", b"x") for n in range(20_000)]),
            Record(b"header", good.value, [*good.headers, ("h", b"x" * 100_000)]),
            Record(b"old", good.value, old),
            Record(b"deep", deep, structured),
            Record(b"k" * 2_000, good.value, good.headers),
        ]
        feed = Feed(stream.connection, stream.topics.received)
        feed.all([*hostile, Record(b"long", good.value, long), message(texts[1], "m-1")])
        letters, verdicts = letters_and_verdicts(stream, len(hostile), 2)
        assert scorer.process.poll() is None
        assert scorer.stop() == 0
    assert verdicts.keys.keys() == {"long", "m-1"}
    reasons = {(letter.key or b"")[:7]: letter.reason for letter in letters}
    assert reasons[b"headers"] == reasons[b"header"] == reasons[b"k" * 7] == "too-large"
    assert reasons[b"old"] == reasons[b"deep"] == "bad-envelope"
    assert reasons[b""] == "too-large"
    [many] = [letter for letter in letters if letter.key == b"headers"]
    assert many.headers == ()
    assert "20000 headers" in many.detail
    assert many.value == good.value


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_what_its_topic_does_not_take_is_a_letter_that_it_does(trial, texts, broker, guarantee):
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    with trial("--guarantee", guarantee, partitions=1) as stream:
        small = ConfigResource(
            ResourceType.TOPIC,
            stream.topics.dead_letters,
            incremental_configs=[
                ConfigEntry(
                    "max.message.bytes",
                    "4000",
                    incremental_operation=AlterConfigOpType.SET,
                )
            ],
        )
        admin = AdminClient({"bootstrap.servers": broker.address})
        for future in admin.incremental_alter_configs([small]).values():
            future.result(10)
        scorer = stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        noise = os.urandom(20_000)
        feed.all([Record(b"big", noise, ()), message(texts[1], "m-1")])
        [letter], _ = letters_and_verdicts(stream, 1, 1)
        assert scorer.stop() == 0
    assert letter.value is None
    assert "20000 bytes (SHA-256" in letter.detail


def test_messages_that_wait_for_their_time_hold_up_no_others(trial, texts):
    with trial("--max-records", "50", partitions=1) as stream:
        stream.start()
        later = str(round((datetime.now(UTC).timestamp() + 8) * 1e3)).encode()
        own = [("rampart-due", later), ("rampart-attempts", b"1")]
        waiting = [message(texts[number % 300], f"w-{number}") for number in range(300)]
        Feed(stream.connection, stream.topics.retries[0]).all(
            Record(one.key, one.value, [*one.headers, *own]) for one in waiting
        )
        feed = Feed(stream.connection, stream.topics.received)
        feed.all(message(texts[number % 300], f"m-{number}") for number in range(300))
        order = []
        tally = Tally(
            stream.connection, [stream.topics.verdicts], keep=lambda one: order.append(one.key())
        )
        tally.until(600)
        tally.rest(1)
        tally.close()
    assert tally.repeats == 0
    assert all(key.startswith(b"m-") for key in order[:300])
    assert order[300:] == [f"w-{number}".encode() for number in range(300)]
