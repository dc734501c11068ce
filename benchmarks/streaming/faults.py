"""What breaks under a stream, and how each message is counted afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.streaming.harness import Feed, Stream, Tally, message, stream
from benchmarks.streaming.proxy import Relay
from broker.local import Broker

_RATE = 1_200.0
_KILL_SECONDS = 20.0
_AWAY_SECONDS = 5.0
_WORDS = ["win", "prize", "meeting", "patch", "loan", "free", "kernel", "notes", "lunch", "build"]


@dataclass
class Trial:
    """One trial.

    Attributes:
        folder: of the broker and the logs.
        bundle: that scores.
        guarantee: of the scorers.
        count: messages.
    """

    folder: Path
    bundle: Path
    guarantee: str
    count: int

    @contextmanager
    def opened(self, broker: Broker, partitions: int = 8) -> Iterator[Stream]:
        """Topics, and scorers that are started again where they end by themselves."""
        broker.start()
        arguments = ["--bundle", str(self.bundle), "--threads", "1", "--guarantee", self.guarantee]
        try:
            with stream(
                broker.address, "trial", self.folder / "logs", arguments, partitions=partitions
            ) as one:
                yield one
        finally:
            broker.stop()

    def feed(self, one: Stream) -> threading.Thread:
        """Write all messages at a steady rate, from a thread."""

        def write() -> None:
            feed = Feed(one.connection, one.topics.received)
            begun = time.monotonic()
            for number in range(self.count):
                feed.send(message(made_up(number), f"m-{number}"))
                while number / _RATE > time.monotonic() - begun:
                    time.sleep(0.005)
            feed.flush()

        thread = threading.Thread(target=write)
        thread.start()
        return thread

    def counted(self, one: Stream) -> Tally:
        """What was written, once all is there and no more comes."""
        tally = Tally(one.connection, [one.topics.verdicts])
        tally.until(self.count, 900)
        tally.rest(5)
        tally.close()
        return tally


def killed(trial: Trial) -> tuple[int, Tally]:
    """The scorer is killed every 20 seconds."""
    times = 0
    with trial.opened(Broker(trial.folder / "kafka")) as one:
        feed = trial.feed(one)
        scorer = one.start()
        while feed.is_alive():
            feed.join(_KILL_SECONDS)
            scorer.kill()
            times += 1
            scorer = one.start()
        return times, trial.counted(one)


def rebalanced(trial: Trial) -> tuple[int, Tally]:
    """Scorers go from 1 to 4 to 2, and so on."""
    times = 0
    with trial.opened(Broker(trial.folder / "kafka")) as one:
        feed = trial.feed(one)
        here = [one.start()]
        while feed.is_alive():
            here += [one.start() for _ in range(4 - len(here))]
            feed.join(_KILL_SECONDS)
            for scorer in here[:2]:
                scorer.stop()
            here = here[2:]
            feed.join(_KILL_SECONDS)
            times += 4
        return times, trial.counted(one)


def broken(trial: Trial) -> tuple[int, Tally]:
    """The broker is killed every so often, and comes back on what it had written."""
    times = 0
    broker = Broker(trial.folder / "kafka")
    with trial.opened(broker) as one:
        feed = trial.feed(one)
        one.start()
        while feed.is_alive():
            feed.join(_KILL_SECONDS)
            broker.kill()
            time.sleep(_AWAY_SECONDS)
            broker.start()
            times += 1
            _again(one)
        return times, trial.counted(one)


def cut(trial: Trial) -> tuple[int, Tally]:
    """The scorers' network is cut every so often."""
    times = 0
    relay = Relay()
    broker = Broker(trial.folder / "kafka", relay=relay.port)
    relay.to(broker.relayed)
    by = f"127.0.0.1:{relay.port}"
    try:
        with trial.opened(broker) as one:
            feed = trial.feed(one)
            for _ in range(2):
                one.start(broker=by)
            while feed.is_alive():
                feed.join(_KILL_SECONDS)
                relay.cut()
                time.sleep(_AWAY_SECONDS)
                relay.mend()
                times += 1
                _again(one, by)
            return times, trial.counted(one)
    finally:
        relay.close()


def made_up(number: int) -> str:
    """A text that costs little to score; some are like others."""
    return f"{number}\n\n{' '.join(random.Random(number % 500).choices(_WORDS, k=40))}"


def _again(one: Stream, broker: str = "") -> None:
    """Start another for each scorer that ended, as Kubernetes would."""
    alive = sum(scorer.process.poll() is None for scorer in one.scorers)
    wanted = 2 if broker else 1
    for _ in range(wanted - alive):
        one.start(broker=broker)


FAULTS: dict[str, Callable[[Trial], tuple[int, Tally]]] = {
    "scorer killed": killed,
    "scorers come and go": rebalanced,
    "broker killed": broken,
    "network cut": cut,
}
"""By what breaks: does it, and gives how often and what was written."""
