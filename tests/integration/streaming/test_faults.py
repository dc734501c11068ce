"""Whatever breaks, nothing is lost; and where exactly once is promised, nothing comes twice.

Each trial counts every message: `make benchmark-stream` does the same with a hundred thousand.
"""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from confluent_kafka.admin import AdminClient

from benchmarks.streaming.harness import Feed, Tally, message
from benchmarks.streaming.proxy import Relay
from broker.local import Broker
from rampart.errors import StreamError

pytestmark = [pytest.mark.stream, pytest.mark.slow]
COUNT = 6_000
GUARANTEES = pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])


def feeding(stream, texts, count=COUNT, rate=1_500.0):
    """Feeds from a thread at a steady rate; ends when all is written."""

    def feed():
        writer = Feed(stream.connection, stream.topics.received)
        begun = time.monotonic()
        for number in range(count):
            writer.send(message(texts[number % len(texts)], f"m-{number}"))
            while number / rate > time.monotonic() - begun:
                time.sleep(0.005)
        writer.flush()

    thread = threading.Thread(target=feed)
    thread.start()
    return thread


def counted(stream, count=COUNT, seconds=60):
    """All verdicts, once they are there and no more come."""
    tally = Tally(stream.connection, [stream.topics.verdicts])
    try:
        tally.until(count, seconds)
    except StreamError as error:
        pytest.fail(f"{error}\n{stream.said()}")
    tally.rest()
    tally.close()
    other = Tally(stream.connection, [stream.topics.dead_letters, *stream.topics.retries])
    other.rest(0.5)
    other.close()
    assert not other.keys
    assert tally.keys.keys() == {f"m-{number}" for number in range(count)}
    return tally


@GUARANTEES
def test_scorers_that_are_killed_lose_nothing(trial, texts, guarantee):
    with trial("--guarantee", guarantee) as stream:
        feed = feeding(stream, texts)
        for _ in range(3):
            scorer = stream.start()
            begun = time.monotonic()
            while time.monotonic() - begun < 3:
                time.sleep(0.1)
            scorer.kill()
        stream.start()
        feed.join()
        tally = counted(stream)
    if guarantee == "exactly-once":
        assert tally.repeats == 0


@GUARANTEES
def test_scorers_that_come_and_go_lose_and_repeat_nothing(trial, texts, guarantee):
    with trial("--guarantee", guarantee, partitions=8) as stream:
        feed = feeding(stream, texts, rate=500)
        stream.start()
        time.sleep(2)
        for _ in range(3):
            stream.start()
        time.sleep(3)
        for scorer in stream.scorers[:2]:
            assert scorer.stop() == 0
        feed.join()
        tally = counted(stream)
        noise = "".join(scorer.log.read_text() for scorer in stream.scorers)
    assert "ERROR" not in noise
    # What goes in order hands over what it finished.
    assert tally.repeats == 0


def test_who_joins_gets_a_share_of_what_is_received(trial):
    with trial(partitions=12) as stream:
        for members in (1, 2, 3):
            stream.start()
            deadline = time.monotonic() + 40
            # By number: who has the retries' three has so many fewer.
            while not even(shares := received(stream), members):
                assert time.monotonic() < deadline, shares
                time.sleep(0.3)


def even(shares, members):
    return len(shares) == members and sum(shares) == 12 and max(shares) - min(shares) <= 3


def received(stream):
    """How many partitions of what is received each scorer has at this moment."""
    admin = AdminClient(stream.connection.client())
    [asked] = admin.describe_consumer_groups(["rampart-scorer"]).values()
    # A broker that has just started knows of no group yet.
    return [
        sum(one.topic == stream.topics.received for one in member.assignment.topic_partitions)
        for member in ([] if asked.exception() else asked.result().members)
    ]


@GUARANTEES
def test_a_broker_that_is_killed_and_comes_back_loses_nothing(trial, texts, guarantee, tmp_path):
    broker = Broker(tmp_path / "kafka")
    broker.start()
    try:
        with trial("--guarantee", guarantee, address=broker.address) as stream:
            stream.start()
            feed = feeding(stream, texts)
            time.sleep(2)
            broker.kill()
            time.sleep(2)
            broker.start()
            feed.join()
            tally = counted(stream)
            assert stream.scorers[0].process.poll() in (None, 16)
        if guarantee == "exactly-once":
            assert tally.repeats == 0
    finally:
        broker.stop()


@GUARANTEES
def test_a_network_that_is_cut_loses_nothing(trial, texts, guarantee, tmp_path):
    relay = Relay()
    broker = Broker(tmp_path / "kafka", relay=relay.port)
    relay.to(broker.relayed)
    broker.start()
    try:
        with trial("--guarantee", guarantee, address=broker.address) as stream:
            for _ in range(2):
                stream.start(broker=f"127.0.0.1:{relay.port}")
            feed = feeding(stream, texts)
            for _ in range(2):
                time.sleep(2)
                relay.cut()
                time.sleep(2)
                relay.mend()
            feed.join()
            tally = counted(stream)
            assert all(scorer.process.poll() in (None, 16) for scorer in stream.scorers)
        if guarantee == "exactly-once":
            assert tally.repeats == 0
    finally:
        relay.close()
        broker.stop()


def test_a_predictor_that_goes_away_is_waited_for(trial, texts, other_bundle, tmp_path):
    from tests.integration.serving.conftest import running

    usual = ("--bundle", str(other_bundle), "--threads", "1")
    with running("serving.predictor", tmp_path / "predictor.txt", *usual) as predictor:
        port = predictor.grpc.rpartition(":")[2]
        with trial("--predictor", predictor.grpc) as stream:
            scorer = stream.start()
            feed = feeding(stream, texts, count=1_500, rate=500)
            time.sleep(1)
            predictor.process.kill()
            predictor.process.wait()
            deadline = time.monotonic() + 30
            while httpx.get(f"{scorer.url}/readyz").status_code == 200:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            feed.join()
            # Nothing of it is the messages' fault.
            with running("serving.predictor", tmp_path / "again.txt", *usual, "--grpc_port", port):
                tally = counted(stream, 1_500)
                assert httpx.get(f"{scorer.url}/readyz").status_code == 200
                shown = httpx.get(f"{scorer.url}/metrics").text
                assert scorer.stop() == 0
    assert tally.repeats == 0
    assert "rampart_stream_outages 0.0" not in shown
