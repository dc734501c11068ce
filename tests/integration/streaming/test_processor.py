"""Messages in, verdicts out, over a real broker: all of them, in order, and the engine's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from benchmarks.streaming.harness import Feed, Tally, message
from benchmarks.streaming.poison import KINDS, poison
from rampart.inference.engine import Engine
from rampart.streaming.events import VERDICT, DeadLetter, Verdict
from rampart.streaming.letters import revived
from rampart.streaming.wire import Record, data_of, from_record

COUNT = 400


def read(one):
    return from_record(Record(one.key(), one.value(), one.headers() or ()))


def verdicts(trial_stream, wanted, topic=None):
    """The verdicts on so many messages, as they lie there."""
    found = []
    tally = Tally(
        trial_stream.connection,
        [topic or trial_stream.topics.verdicts],
        keep=found.append,
    )
    tally.until(wanted)
    tally.close()
    return found


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_every_message_gets_the_engines_verdict(trial, texts, other_bundle, mode, guarantee):
    with trial("--guarantee", guarantee, "--top-k", "3") as stream:
        stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        feed.all(
            message(texts[number % 300], f"m-{number}", mode, "inbound") for number in range(COUNT)
        )
        found = verdicts(stream, COUNT)
        assert stream.scorers[0].stop() == 0
        assert "ERROR" not in stream.scorers[0].log.read_text()
    assert len(found) == COUNT
    engine = Engine.load(other_bundle, threads=1)
    expected = engine.score(texts, top_k=3)
    for one in found:
        told = read(one)
        verdict = data_of(told, Verdict)
        text, right = texts[int(told["id"][2:]) % 300], expected[int(told["id"][2:]) % 300]
        assert told["type"] == VERDICT
        assert one.key().decode() == told["id"] == verdict.message
        assert (verdict.source, verdict.category) == ("/harness", "inbound")
        assert verdict.received <= verdict.scored <= datetime.now(UTC)
        assert verdict.label == right.label
        assert verdict.threat == (right.label == "spam")
        assert verdict.logit == pytest.approx(right.logit, abs=1e-6)
        assert verdict.bundle == engine.manifest.id
        total = verdict.bias + sum(span.contribution for span in verdict.spans)
        assert total == pytest.approx(verdict.logit, abs=1e-6)
        for span in verdict.spans:
            assert text[span.start : span.end].startswith(span.text)


def test_verdicts_keep_the_order_of_their_partition_and_so_of_their_key(trial, texts):
    with trial() as stream:
        stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        for number in range(COUNT):
            record = message(texts[number % 300], f"m-{number}")
            # The sender's key: its messages are told apart by their ids.
            feed.send(Record(f"sender-{number % 7}".encode(), record.value, record.headers))
        feed.flush()
        order = {}
        tally = Tally(
            stream.connection,
            [stream.topics.verdicts],
            keep=lambda one: order.setdefault(one.key(), []).append(int(read(one)["id"][2:])),
        )
        tally.until(7)
        tally.rest()
        tally.close()
    assert sum(map(len, order.values())) == COUNT
    for numbers in order.values():
        assert numbers == sorted(numbers)


def test_what_is_told_to_stop_leaves_nothing_to_be_done_again(trial, texts):
    with trial() as stream:
        first = stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        feed.all(message(texts[number % 300], f"m-{number}") for number in range(3_000))
        tally = Tally(stream.connection, [stream.topics.verdicts])
        tally.until(200)
        assert first.stop() == 0
        stream.start()
        tally.until(3_000)
        tally.rest()
        tally.close()
    assert tally.repeats == 0


def test_probes_and_metrics_say_how_it_goes(trial, texts):
    with trial() as stream:
        scorer = stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        feed.all(message(texts[number], f"m-{number}") for number in range(50))
        verdicts(stream, 50)
        shown = httpx.get(f"{scorer.url}/metrics").text
        assert 'rampart_stream_outputs_total{kind="verdict"} 50.0' in shown
        assert "rampart_stream_held_records 0.0" in shown
        assert "rampart_stream_breaker_open 0.0" in shown
        for probe in ("healthz", "readyz"):
            assert httpx.get(f"{scorer.url}/{probe}").json() == {"status": "ok"}


def test_a_topic_that_is_not_there_is_named(broker, other_bundle, capfd):
    from serving.stream.__main__ import main

    arguments = ["--broker", broker.address, "--topics", "nowhere", "--bundle", str(other_bundle)]
    assert main(arguments) == 16
    assert "no topic nowhere-received" in capfd.readouterr().err


def test_a_broker_that_is_not_there_is_named(other_bundle, capfd):
    from serving.stream.__main__ import main

    assert main(["--broker", "127.0.0.1:9", "--bundle", str(other_bundle)]) == 16
    assert "The broker at 127.0.0.1:9 does not answer" in capfd.readouterr().err


# --- what cannot be scored ------------------------------------------------------------------


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_what_cannot_be_scored_is_a_dead_letter_with_its_bytes_and_holds_nothing_up(
    trial, texts, guarantee
):
    sent = {}
    with trial("--guarantee", guarantee) as stream:
        stream.start()
        feed = Feed(stream.connection, stream.topics.received)
        for number in range(600):
            if number % 20 == 0:
                kind = list(KINDS)[number // 20 % 10]
                record = poison(kind, f"{kind}/{number}")
                sent[record.key.decode()] = (kind, record)
            else:
                record = message(texts[number % 300], f"m-{number}")
            feed.send(record)
        feed.flush()
        good = verdicts(stream, 570)
        buried = verdicts(stream, 30, stream.topics.dead_letters)
    assert len(good) == 570
    assert len(buried) == 30
    for one in buried:
        letter = data_of(read(one), DeadLetter)
        kind, record = sent[one.key().decode()]
        assert letter.reason == kind
        assert letter.detail
        assert letter.attempts == 1
        assert letter.key == record.key
        assert letter.value == record.value
        assert [(header.name, header.value) for header in letter.headers] == list(record.headers)
        assert revived(letter).value == record.value
        assert letter.origin.topic == stream.topics.received


def test_headers_that_only_a_replay_writes_are_believed_of_nobody_else(trial, texts):
    with trial() as stream:
        stream.start()
        good = message(texts[0], "m-1")
        forged = [
            ("rampart-due", b"99999999999999"),
            ("rampart-attempts", b"3"),
            ("rampart-origin", b"other/0/1"),
        ]
        Feed(stream.connection, stream.topics.received).all(
            [
                Record(b"m-1", good.value, [*good.headers, *forged]),
                Record(b"m-2", b"", forged),
            ]
        )
        assert len(verdicts(stream, 1)) == 1
        [one] = verdicts(stream, 1, stream.topics.dead_letters)
        letter = data_of(read(one), DeadLetter)
    assert letter.attempts == 1
    assert letter.origin.topic == stream.topics.received


def test_a_letter_too_large_to_hold_its_record_says_what_it_was(trial):
    with trial() as stream:
        stream.start()
        # The topic takes no more than this, and base 64 of it is over what a letter may be.
        big = b"x" * 1_990_000
        Feed(stream.connection, stream.topics.received).all([Record(b"big", big, ())])
        [one] = verdicts(stream, 1, stream.topics.dead_letters)
        letter = data_of(read(one), DeadLetter)
    assert letter.value == big
    assert json.loads(one.value())["type"] == "io.rampart.message.deadletter.v1"
