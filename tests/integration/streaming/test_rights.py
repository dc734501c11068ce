"""What manifests/kafka grants is what each service needs, and nothing else; by TLS alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.streaming.analysed import Analytics
from benchmarks.streaming.harness import Tally, stream
from broker.local import Broker, running
from rampart.streaming.connection import Connection, Topics, create_topics, existing
from rampart.streaming.outlets import produce, producer
from rampart.streaming.wire import Record
from tests.certificates import Authority
from tests.node.stream import grant, grants, send

pytestmark = [pytest.mark.stream, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
USERS = list(yaml.safe_load_all((ROOT / "manifests/kafka/users.yaml").read_text()))
# By a topic's rights, by a group's for those who have none, and for those who may write nowhere.
REFUSED = [f"{what}_AUTHORIZATION_FAILED" for what in ("TOPIC", "GROUP", "CLUSTER")]
NAMES = [user["metadata"]["name"] for user in USERS]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    Authority().write(folder, *NAMES)
    return folder


@pytest.fixture(scope="module")
def strict(certificates: Path, tmp_path_factory: pytest.TempPathFactory):
    """A broker that grants what the manifests say, with the topics that they name."""
    with running(tmp_path_factory.mktemp("strict"), certificates=certificates) as broker:
        plain = Connection(bootstrap=broker.address)
        create_topics(plain, Topics(), partitions=2)
        assert grant(plain, grants(USERS)) > 20
        yield broker


def options(certificates: Path, user: str) -> list[str]:
    of = certificates / user
    return [
        "--ca-file", str(certificates / "ca.crt"),
        "--certificate-file", str(of / "user.crt"), "--key-file", str(of / "user.key"),
    ]  # fmt: skip


def address(broker: Broker) -> str:
    return f"127.0.0.1:{broker.secured}"


def connection(broker: Broker, certificates: Path, user: str) -> Connection:
    of = certificates / user
    return Connection(
        bootstrap=address(broker),
        ca_file=certificates / "ca.crt",
        certificate_file=of / "user.crt",
        key_file=of / "user.key",
    )


def refusal_of_reading(known: Connection, topic: str) -> str | None:
    """What the broker says to somebody who reads; None where there is nothing to say."""
    consumer = Consumer(known.client(group_id="rampart-watch", enable_auto_commit=False))
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = consumer.poll(1)
            if found is not None:
                return found.error() and found.error().name()
    except KafkaException as error:
        return error.args[0].name()
    finally:
        consumer.close()
    return None


def refusal_of_writing(known: Connection, topic: str) -> str | None:
    """The same for somebody who writes."""
    found = []
    written = producer(known)
    produce(written, topic, Record(b"k", b"v", []), lambda error, _: found.append(error))
    try:
        written.flush(10)
    except KafkaException as error:
        return error.args[0].name()
    return found[0] and found[0].name()


def test_each_service_works_with_what_it_is_granted(strict, certificates, other_bundle, tmp_path):
    common = ["--broker", address(strict)]
    scorer = [*options(certificates, "rampart-scorer"), "--guarantee", "exactly-once"]
    with stream(
        strict.address, "mail", tmp_path / "logs", ["--bundle", str(other_bundle), *scorer]
    ) as one:
        one.start("--identity", "rampart-scorer-one", broker=address(strict))
        # Of two that say the same the last is taken: it comes by TLS, in the group that is granted.
        analytics = Analytics(
            one, tmp_path, *common, *options(certificates, "rampart-analytics"),
            "--analytics-group", "rampart-analytics",
            "--tumbling-seconds", "1", "--lateness-seconds", "0",
        )  # fmt: skip
        with analytics.running():
            mail = connection(strict, certificates, "rampart-mail")
            assert send(mail, "m", 100, 40) == 100
            watched = Tally(
                connection(strict, certificates, "rampart-operator"),
                [Topics().verdicts],
                group="rampart-watch",
            )
            watched.until(100)
            watched.close()
            closed = Tally(one.connection, [Topics().windows])
            closed.until(1)
            closed.close()
        assert one.scorers[0].stop() == 0
        assert "ERROR" not in one.said()
        assert "authoriz" not in analytics.log.read_text().lower()


def test_an_operator_feeds_letters_back(strict, certificates, other_bundle, tmp_path):
    scorer = options(certificates, "rampart-scorer")
    with stream(
        strict.address, "mail", tmp_path / "logs", ["--bundle", str(other_bundle), *scorer]
    ) as one:
        one.start("--identity", "rampart-scorer-two", broker=address(strict))
        mail = connection(strict, certificates, "rampart-mail")
        assert refusal_of_writing(mail, Topics().received) is None
        letters = Tally(one.connection, [Topics().dead_letters])
        letters.until(1)
        of = certificates / "rampart-operator"
        known = {
            "RAMPART_STREAM_BROKER": address(strict),
            "RAMPART_STREAM_CA_FILE": str(certificates / "ca.crt"),
            "RAMPART_STREAM_CERTIFICATE_FILE": str(of / "user.crt"),
            "RAMPART_STREAM_KEY_FILE": str(of / "user.key"),
        }
        command = [sys.executable, "-m", "rampart.cli", "stream", "replay"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | known)
        assert done.returncode == 0, done.stderr
        # It is no event still, so it is buried again.
        deadline = time.monotonic() + 60
        while sum(letters.keys.values()) < 2 and time.monotonic() < deadline:
            letters.read()
        letters.close()
        assert sum(letters.keys.values()) == 2


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("rampart-mail", Topics().received),
        ("rampart-mail", Topics().verdicts),
        ("rampart-scorer", Topics().verdicts),
        ("rampart-operator", Topics().received),
        ("rampart-scaler", Topics().received),
        ("rampart-knative", Topics().verdicts),
    ],
)
def test_nobody_reads_what_is_not_granted(strict, certificates, user, topic):
    assert refusal_of_reading(connection(strict, certificates, user), topic) in REFUSED


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("rampart-mail", Topics().verdicts),
        ("rampart-scorer", Topics().received),
        ("rampart-analytics", Topics().verdicts),
        ("rampart-operator", Topics().verdicts),
        ("rampart-scaler", Topics().received),
    ],
)
def test_nobody_writes_what_is_not_granted(strict, certificates, user, topic):
    assert refusal_of_writing(connection(strict, certificates, user), topic) in REFUSED


def test_who_has_no_certificate_or_another_authoritys_is_told_nothing(
    strict, certificates, tmp_path
):
    Authority().write(tmp_path / "other", "rampart-scorer")
    of = tmp_path / "other" / "rampart-scorer"
    stranger = {"certificate_file": of / "user.crt", "key_file": of / "user.key"}
    for given in ({}, stranger):
        known = Connection(bootstrap=address(strict), ca_file=certificates / "ca.crt", **given)
        with pytest.raises(Exception, match="does not answer"):
            existing(known)
