"""What breaks under a stream, and how each message is counted afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.peers.work import CASCADE
from benchmarks.serving.processes import running as serving
from benchmarks.serving.servers import rampart
from benchmarks.streaming.analysed import Analytics, closers, records, rows, verdicts
from benchmarks.streaming.harness import Feed, Stream, Tally, message, stream
from benchmarks.streaming.proxy import Relay
from broker.local import Broker

_RATE = 1_200.0
_KILL_SECONDS = 20.0
_AWAY_SECONDS = 5.0
_DISK_MB = 4
_HOURS = 24.0
_LATENESS = 43_200.0
_QUIET_SECONDS = 90.0
_WORDS = ["win", "prize", "meeting", "patch", "loan", "free", "kernel", "notes", "lunch", "build"]


@dataclass(frozen=True)
class Found:
    """What a trial came to.

    Attributes:
        times: that something broke.
        lost: messages that nothing became of.
        repeated: those that something became of twice.
    """

    times: int
    lost: int
    repeated: int


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
    def opened(
        self, broker: Broker, predictor: Sequence[str] = (), partitions: int = 8
    ) -> Iterator[Stream]:
        """Topics, and scorers that compute themselves or ask a predictor."""
        broker.start()
        computes = predictor or ("--bundle", str(self.bundle), "--threads", "1")
        arguments = [*computes, "--guarantee", self.guarantee]
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

    def counted(self, one: Stream, times: int) -> Found:
        """What was lost and written twice, once all is there and no more comes."""
        tally = Tally(one.connection, [one.topics.verdicts])
        tally.until(self.count, 900)
        tally.rest(5)
        tally.close()
        return Found(times, self.count - len(tally.keys), tally.repeats)


def killed(trial: Trial) -> Found:
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
        return trial.counted(one, times)


def rebalanced(trial: Trial) -> Found:
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
        return trial.counted(one, times)


def broken(trial: Trial) -> Found:
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
        return trial.counted(one, times)


def cut(trial: Trial) -> Found:
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
            return trial.counted(one, times)
    finally:
        relay.close()


def slowed(trial: Trial) -> Found:
    """The predictor stands still every so often, for longer than a call to it may take."""
    times = 0
    trial.folder.mkdir(parents=True)
    server = rampart("predictor", CASCADE, grpc=True)
    with serving(server, trial.bundle, 1, trial.folder / "predictor.log") as (address, pid):
        host, _, port = address.removeprefix("http://").partition(":")
        asked = ("--predictor", f"{host}:{int(port) + 1}", "--predictor-seconds", "2")
        with trial.opened(Broker(trial.folder / "kafka"), asked) as one:
            feed = trial.feed(one)
            one.start()
            while feed.is_alive():
                feed.join(_KILL_SECONDS)
                os.kill(pid, signal.SIGSTOP)
                time.sleep(_AWAY_SECONDS)
                os.kill(pid, signal.SIGCONT)
                times += 1
            return trial.counted(one, times)


def filled(trial: Trial) -> Found:
    """The disk that the analytics keep their state on is full, and each time gets a bit larger.

    What is counted are the messages in their windows, each of which may come once.
    """
    times, size = 0, _DISK_MB
    state = trial.folder / "state"
    state.mkdir(parents=True)
    windows: dict[tuple[str, ...], int] = {}
    repeated = 0

    def keep(window: Any) -> None:
        nonlocal repeated
        told = json.loads(window.value())
        if told["kind"] == "tumbling":
            place = told["source"], told["category"], str(told["start"])
            repeated += told["messages"] if place in windows else 0
            windows[place] = told["messages"]

    broker = Broker(trial.folder / "kafka")
    _disk(state, f"size={size}m")
    try:
        with trial.opened(broker) as one:
            # Small batches, so that partitions come on evenly.
            feed = Feed(one.connection, one.topics.verdicts, batch_num_messages=20)
            feed.all(records(verdicts(trial.count, 1, late=0, hours=_HOURS)))
            analytics = Analytics(one, trial.folder, "--lateness-seconds", str(_LATENESS))
            tally = Tally(one.connection, [one.topics.windows], keep=keep)
            closed, news = False, time.monotonic()
            while sum(windows.values()) < trial.count and time.monotonic() - news < _QUIET_SECONDS:
                process = analytics.start()
                seen = 0
                while process.poll() is None and time.monotonic() - news < _QUIET_SECONDS:
                    came = tally.read(0.5), rows(trial.folder / "table")
                    if came[0] or came[1] > seen:
                        seen, news = came[1], time.monotonic()
                    if not closed and seen >= trial.count:
                        feed.all(records(closers(hours=_HOURS + 15)))
                        closed = True
                    if sum(windows.values()) >= trial.count:
                        break
                else:
                    times, size = times + 1, size + _DISK_MB
                    _disk(state, f"remount,size={size}m")
            tally.rest(5)
            tally.close()
            analytics.stop()
    finally:
        subprocess.run(["umount", str(state)], check=True)  # noqa: S607 - the system's own
    return Found(times, trial.count - sum(windows.values()), repeated)


def _disk(folder: Path, options: str) -> None:
    """A disk of its own, in memory; only root may make one."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def made_up(number: int) -> str:
    """A text that costs little to score; some are like others."""
    return f"{number}\n\n{' '.join(random.Random(number % 500).choices(_WORDS, k=40))}"


def quick(folder: Path) -> Path:
    """A bundle of n-grams on made-up texts: what is counted here is messages, not spam."""
    import numpy as np

    from rampart.bundle.build import assemble
    from rampart.data.labelled import Labelled
    from rampart.training.ngram import fit_ngram

    target = folder / "bundle"
    if not target.exists():
        texts = [made_up(number) for number in range(400)]
        labels = np.array([int("prize" in text) for text in texts], dtype=np.int8)
        fit_ngram(texts, labels).save(folder / "ngram")
        assemble(target, {"ngram": folder / "ngram"}, Labelled(texts, labels, texts))
    return target


def _again(one: Stream, broker: str = "") -> None:
    """Start another for each scorer that ended, as Kubernetes would."""
    alive = sum(scorer.process.poll() is None for scorer in one.scorers)
    wanted = 2 if broker else 1
    for _ in range(wanted - alive):
        one.start(broker=broker)


FAULTS: dict[str, Callable[[Trial], Found]] = {
    "scorer killed": killed,
    "scorers come and go": rebalanced,
    "broker killed": broken,
    "network cut": cut,
    "predictor slow": slowed,
    "disk full": filled,
}
"""By what breaks: does it, and counts."""

ALWAYS_ONCE = frozenset({"disk full"})
"""Of these there is one guarantee alone: analytics count each message once."""
