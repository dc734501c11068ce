"""Scorers as processes, messages fed to them, and every answer counted; tests use it too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from rich.console import Console

from rampart.errors import StreamError
from rampart.streaming.connection import Connection, Topics, create_topics
from rampart.streaming.events import RECEIVED, Received
from rampart.streaming.outlets import produce, producer
from rampart.streaming.wire import Record, event, to_record

SOURCE = "/harness"
PARTITIONS = 12
GUARANTEES = ("at-least-once", "exactly-once")
console = Console(width=120)
_STOP_SECONDS = 40.0


@dataclass
class Scorer:
    """A scorer's process."""

    process: subprocess.Popen[str]
    log: Path
    url: str = ""

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As Kubernetes would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)

    def ready(self) -> None:
        """Wait until it says that it scores.

        Raises:
            StreamError: it ended; its log is shown.
        """
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        line = self.process.stdout.readline()
        if not line.startswith("Scoring"):
            self.process.kill()
            raise StreamError(f"The scorer did not start: {line}{self.log.read_text()[-2_000:]}")
        self.url = line.split()[-1].rstrip("/")


@dataclass
class Stream:
    """Topics of one trial, and the scorers that work on them.

    Attributes:
        connection: to the broker.
        topics: made for it alone.
        folder: for logs.
        arguments: of each scorer.
    """

    connection: Connection
    topics: Topics
    folder: Path
    arguments: Sequence[str]
    scorers: list[Scorer] = field(default_factory=list)
    _held: ExitStack = field(default_factory=ExitStack)

    def start(self, *more: str, broker: str = "") -> Scorer:
        """Another scorer, once it scores.

        Args:
            more: arguments.
            broker: the address that it is told, if another.
        """
        log = self.folder / f"scorer-{len(self.scorers)}.log"
        file: IO[str] = self._held.enter_context(log.open("w"))
        command = [
            sys.executable, "-m", "serving.stream",
            "--broker", broker or self.connection.bootstrap,
            "--topics", self.topics.received.removesuffix("-received"),
            "--retries", str(len(self.topics.retries)), "--http-port", "0",
            "--identity", f"{self.topics.received}-{len(self.scorers)}",
            *self.arguments, *more,
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
        scorer = Scorer(process, log)
        self.scorers.append(scorer)
        scorer.ready()
        return scorer

    def said(self) -> str:
        """What scorers complained of."""
        return "\n".join(
            f"{scorer.log.name}, {scorer.process.poll()}: {scorer.log.read_text()[-3_000:]}"
            for scorer in self.scorers
        )

    def end(self) -> None:
        """End all scorers that are left."""
        for scorer in self.scorers:
            with suppress(ProcessLookupError):
                scorer.process.kill()
            scorer.process.wait()
            if scorer.process.stdout:
                scorer.process.stdout.close()
        self._held.close()


@contextmanager
def stream(
    broker: str,
    prefix: str,
    folder: Path,
    arguments: Sequence[str],
    *,
    partitions: int = 4,
    retries: int = 3,
) -> Iterator[Stream]:
    """Topics for one trial; the scorers that it starts are ended behind it."""
    connection = Connection(bootstrap=broker)
    topics = Topics.of(prefix, retries)
    create_topics(connection, topics, partitions=partitions)
    folder.mkdir(parents=True, exist_ok=True)
    trial = Stream(connection, topics, folder, arguments)
    try:
        yield trial
    finally:
        trial.end()


def message(
    text: str, identity: str, mode: Literal["binary", "structured"] = "binary", category: str = ""
) -> Record:
    """A received event that came in now."""
    told = event(
        RECEIVED,
        Received(text=text, category=category),
        id=identity,
        source=SOURCE,
        time=datetime.now(UTC),
    )
    return to_record(told, identity, mode)


class Feed:
    """Writes records, and waits until the broker has them."""

    def __init__(self, connection: Connection, topic: str, **settings: Any) -> None:
        self._topic = topic
        self._producer = producer(connection, **settings)

    def send(self, record: Record) -> None:
        """Write one; it is not there yet when this returns."""
        while True:
            try:
                produce(self._producer, self._topic, record)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until all are there."""
        self._producer.flush()

    def all(self, records: Iterable[Record]) -> int:
        """Write many, and wait until they are there; how many they were."""
        count = 0
        for record in records:
            self.send(record)
            count += 1
        self.flush()
        return count


class Tally:
    """Reads topics from their beginning and keeps what `keep` makes of each record."""

    def __init__(
        self,
        connection: Connection,
        topics: Sequence[str],
        *,
        keep: Callable[[Any], None] | None = None,
        group: str = "harness",
    ) -> None:
        """Read nothing yet.

        Args:
            connection: to the broker.
            topics: to read.
            keep: told each message.
            group: that nothing is marked for; a broker may ask for one.
        """
        from confluent_kafka import Consumer, TopicPartition

        self.keys: Counter[str] = Counter()
        self._keep = keep
        self._consumer = Consumer(
            connection.client(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
            )
        )
        there = self._consumer.list_topics(timeout=30).topics
        self._consumer.assign(
            [
                TopicPartition(topic, partition, 0)
                for topic in topics
                for partition in there[topic].partitions
            ]
        )

    def read(self, seconds: float = 0.1) -> int:
        """Read what is there; how many records that were."""
        count = 0
        for one in self._consumer.consume(1_000, seconds):
            if one.error():
                continue
            count += 1
            self.keys[(one.key() or b"").decode("utf-8", "replace")] += 1
            if self._keep is not None:
                self._keep(one)
        return count

    def until(self, wanted: int, seconds: float = 120.0) -> None:
        """Read until so many keys are there.

        Raises:
            StreamError: they do not come.
        """
        deadline = time.monotonic() + seconds
        while len(self.keys) < wanted:
            self.read()
            if time.monotonic() > deadline:
                raise StreamError(f"{len(self.keys)} of {wanted} came in {seconds:.0f} s.")

    def rest(self, quiet: float = 2.0) -> None:
        """Read until nothing has come for so many seconds."""
        last = time.monotonic()
        while time.monotonic() - last < quiet:
            if self.read():
                last = time.monotonic()

    @property
    def repeats(self) -> int:
        """Records beyond the first of their key."""
        return sum(self.keys.values()) - len(self.keys)

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()
