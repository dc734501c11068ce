"""What a test does with a broker from a pod: `python - make|send|count ...`, JSON in and out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rampart.streaming.connection import Connection, Topics, create_topics
from rampart.streaming.events import RECEIVED, Received
from rampart.streaming.outlets import produce, producer
from rampart.streaming.wire import event, to_record

_SECONDS = 20.0
_WORDS = ("free", "prize", "click", "meeting", "patch", "kernel", "notes", "lunch")


def grants(users: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """What KafkaUsers say that each may: user, kind, name, pattern, operation."""
    return [
        [
            user["metadata"]["name"],
            entry["resource"]["type"],
            entry["resource"]["name"],
            entry["resource"].get("patternType", "literal"),
            operation,
        ]
        for user in users
        for entry in user["spec"]["authorization"]["acls"]
        for operation in entry["operations"]
    ]


def grant(connection: Connection, granted: Iterable[list[str]]) -> int:
    """Tell a broker; how many grants those were."""
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        AdminClient,
        ResourcePatternType,
        ResourceType,
    )

    kinds = {
        "topic": ResourceType.TOPIC,
        "group": ResourceType.GROUP,
        "transactionalId": ResourceType.TRANSACTIONAL_ID,
    }
    patterns = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
    operations = {
        "Read": AclOperation.READ,
        "Write": AclOperation.WRITE,
        "Create": AclOperation.CREATE,
        "Describe": AclOperation.DESCRIBE,
        "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    }
    bindings = [
        AclBinding(
            kinds[kind],
            name,
            patterns[pattern],
            f"User:{user}",
            "*",
            operations[operation],
            AclPermissionType.ALLOW,
        )
        for user, kind, name, pattern, operation in granted
    ]
    admin = AdminClient(connection.client())
    for future in admin.create_acls(bindings).values():
        future.result(_SECONDS)
    return len(bindings)


def send(connection: Connection, prefix: str, count: int, rate: float) -> int:
    """Write received events at a steady rate; how many the broker has."""
    written = producer(connection)
    begun = time.monotonic()
    for number in range(count):
        name = f"{prefix}-{number}"
        text = f"{number} " + " ".join(_WORDS[(number + one * one) % 8] for one in range(20))
        told = event(RECEIVED, Received(text=text), id=name, source="/node", time=datetime.now(UTC))
        produce(written, Topics().received, to_record(told, name))
        written.poll(0)
        while number / rate > time.monotonic() - begun:
            time.sleep(0.005)
    left: int = written.flush(60)
    return count - left


def count(connection: Connection, prefix: str, wanted: int, seconds: float) -> dict[str, int]:
    """How many verdicts a client sees that reads what is committed: keys, and records."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        connection.client(
            group_id="node", enable_auto_commit=False, isolation_level="read_committed"
        )
    )
    topic = Topics().verdicts
    there = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in there])
    keys: Counter[str] = Counter()
    deadline, quiet = time.monotonic() + seconds, time.monotonic()
    # A while longer than the last, for what comes twice.
    while time.monotonic() < deadline and (len(keys) < wanted or time.monotonic() - quiet < 5):
        for one in consumer.consume(1_000, 0.5):
            key = (one.key() or b"").decode()
            if one.error() is None and key.startswith(f"{prefix}-"):
                keys[key] += 1
                quiet = time.monotonic()
    consumer.close()
    return {"keys": len(keys), "records": sum(keys.values())}


def main(what: str, *words: str) -> object:
    """Do one thing."""
    folder = Path("/var/run/kafka")
    connection = Connection(
        bootstrap=os.environ["RAMPART_STREAM_BROKER"],
        ca_file=folder / "ca.crt",
        certificate_file=folder / "user.crt",
        key_file=folder / "user.key",
    )
    if what == "make":
        made = create_topics(connection, Topics())
        return {"topics": len(made), "grants": grant(connection, json.loads(words[0]))}
    if what == "send":
        return {"sent": send(connection, words[0], int(words[1]), float(words[2]))}
    return count(connection, words[0], int(words[1]), float(words[2]))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
