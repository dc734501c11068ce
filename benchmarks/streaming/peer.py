"""MLServer's own Kafka server beside Rampart's scorer: the same engine, broker and messages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.serving.peers.work import CASCADE
from benchmarks.serving.processes import Server, running
from benchmarks.serving.servers import mlserver
from benchmarks.streaming.harness import PARTITIONS, Feed, Tally
from rampart.errors import StreamError
from rampart.streaming.connection import Connection
from rampart.streaming.wire import Record

ENVIRONMENTS = Path("build/benchmarks/serving")
_START_SECONDS = 90.0
_INPUT, _OUTPUT = "mlserver-input", "mlserver-output"


def answered(
    broker: str, folder: Path, bundle: Path, texts: Sequence[str], warm: int, threads: int
) -> float:
    """Texts that it answers in a second.

    Args:
        broker: address of one that has no topics of its own yet.
        folder: for logs.
        bundle: that scores.
        texts: to be answered.
        warm: answers that come before any count.
        threads: of the engine.

    Raises:
        StreamError: they do not come.
    """
    connection = Connection(bootstrap=broker)
    with _serving(connection, folder, bundle, threads) as server:
        # Its client reads what needs no library beside it.
        feed = Feed(connection, _INPUT, compression_type="gzip")
        tally = Tally(connection, [_OUTPUT])
        # It reads from where the topic ends when it comes, and says of nothing when that is.
        deadline = time.monotonic() + _START_SECONDS
        while len(tally.keys) < warm:
            if time.monotonic() > deadline:
                raise StreamError("MLServer answers nothing.", f"See {folder}.")
            number = len(tally.keys)
            feed.all([_request(server, texts[number % len(texts)], f"w-{number}")])
            tally.read(0.1)
        begun = time.perf_counter()
        feed.all(_request(server, text, f"m-{number}") for number, text in enumerate(texts))
        tally.until(warm + len(texts), 600)
        taken = time.perf_counter() - begun
        tally.close()
    return len(texts) / taken


@contextmanager
def _serving(connection: Connection, folder: Path, bundle: Path, threads: int) -> Iterator[Server]:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient(connection.client())
    wanted = [NewTopic(name, num_partitions=PARTITIONS) for name in (_INPUT, _OUTPUT)]
    for made in admin.create_topics(wanted).values():
        made.result()
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    plain = mlserver("MLServer", CASCADE, ENVIRONMENTS.resolve())
    kafka = {
        "MLSERVER_KAFKA_ENABLED": "true",
        "MLSERVER_KAFKA_SERVERS": connection.bootstrap,
        "MLSERVER_KAFKA_TOPIC_INPUT": _INPUT,
        "MLSERVER_KAFKA_TOPIC_OUTPUT": _OUTPUT,
    }
    server = replace(plain, environment={**plain.environment, **kafka}, repeats=True)
    folder.mkdir(parents=True, exist_ok=True)
    with running(server, bundle.resolve(), threads, folder.resolve() / "mlserver.log"):
        yield server


def _request(server: Server, text: str, key: str) -> Record:
    return Record(key.encode(), server.body(text).encode(), [("mlserver-model", b"rampart")])
