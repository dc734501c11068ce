"""The analytics as a process, and verdicts for it to follow; tests use both too."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.streaming.harness import Stream
from rampart.errors import StreamError
from rampart.streaming.events import VERDICT, Span, Verdict
from rampart.streaming.sketching import sketch
from rampart.streaming.wire import Record, event, to_record

# Lately: a broker takes nothing of the future, and keeps nothing that is older than a week.
BASE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
CAMPAIGNS = 40
SOURCES = ("/mx/0", "/mx/1", "/mx/2")
CATEGORIES = ("inbound", "list")
_WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in ("ane", "ile", "ope", "ute", "ack", "est")]
_STOP_SECONDS = 60.0


class Analytics:
    """The process, and what it says."""

    def __init__(self, stream: Stream, folder: Path, *arguments: str) -> None:
        """Say how it will be started.

        Args:
            stream: whose verdicts it follows.
            folder: for its state, its table and its log.
            arguments: beside the usual ones.
        """
        self.command = [
            sys.executable, "-m", "serving.stream", "analytics",
            "--broker", stream.connection.bootstrap,
            "--topics", stream.topics.received.removesuffix("-received"),
            "--analytics-group", f"{stream.topics.received}-analytics",
            "--state", str(folder / "state"), "--table", str(folder / "table"),
            "--http-port", "0", "--commit-seconds", "0.5", *arguments,
        ]  # fmt: skip
        self.table = folder / "table"
        self.log = folder / "analytics.log"
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> subprocess.Popen[str]:
        """Start it, the first time or again.

        Raises:
            StreamError: it ended; its log is shown.
        """
        with self.log.open("a") as log:
            process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.process = process
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("Following"):
            self.kill()
            raise StreamError(f"Analytics did not start: {line}{self.log.read_text()[-2_000:]}")
        self.url = line.split()[-1].rstrip("/")
        return process

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """For as long as the block runs."""
        try:
            yield self.start()
        finally:
            self.stop()

    def kill(self) -> None:
        """As a crash would."""
        if self.process is not None:
            self.process.kill()
            self._ended(self.process)

    def stop(self) -> int:
        """As Kubernetes would; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self._ended(self.process)

    def counted(self, name: str) -> float:
        """A figure that it shows to Prometheus; 0 where it is not there."""
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
        return 0.0

    def _ended(self, process: subprocess.Popen[str]) -> int:
        code = process.wait(_STOP_SECONDS)
        if process.stdout:
            process.stdout.close()
        self.process = None
        return code


def verdicts(
    count: int, seed: int, *, late: float = 0.1, latest: float = 480, hours: float = 2
) -> list[Verdict]:
    """Verdicts over some hours in the order that they are written.

    Args:
        count: of them.
        seed: of what they are.
        late: the share that comes late.
        latest: seconds that one may come late.
        hours: that they came in.
    """
    draw = random.Random(seed)
    sketches = [sketch(" ".join(draw.choices(_WORDS, k=60))) for _ in range(CAMPAIGNS)]
    made = []
    for number in range(count):
        at = BASE + timedelta(hours=number * hours / count)
        delay = draw.uniform(30, latest) if draw.random() < late else 0
        threat = draw.random() < 0.3
        verdict = Verdict(
            message=f"m-{number}",
            source=SOURCES[number % 3],
            category=draw.choice(CATEGORIES),
            received=at,
            scored=at + timedelta(milliseconds=draw.randint(2, 900)),
            label="spam" if threat else "ham",
            threat=threat,
            probability=draw.random(),
            logit=draw.gauss(0, 2),
            threshold=0.5,
            stage=draw.choice(["ngram", "voting"]),
            bundle="b",
            method="terms",
            bias=0.1,
            spans=(
                Span(start=0, end=4, contribution=1.5, text=draw.choice(_WORDS)),
                Span(start=5, end=9, contribution=-1.5, text="calm"),
            ),
            sketch=draw.choice(sketches),
        )
        made.append((at + timedelta(seconds=delay), verdict))
    return [verdict for _, verdict in sorted(made, key=lambda one: one[0])]


def closers(hours: float = 12) -> list[Verdict]:
    """So much later that every window before is closed: one for each source and category."""
    [verdict] = verdicts(1, 0)
    return [
        verdict.model_copy(
            update={
                "message": f"flush-{source}-{category}",
                "sketch": "",
                "source": source,
                "category": category,
                "received": BASE + timedelta(hours=hours),
                "scored": BASE + timedelta(hours=hours),
            }
        )
        for source in SOURCES
        for category in CATEGORIES
    ]


def records(made: Sequence[Verdict]) -> list[Record]:
    """Verdicts as a scorer writes them."""
    return [
        to_record(event(VERDICT, one, id=one.message, source="/s", time=one.scored), one.message)
        for one in made
    ]


def rows(table: Path) -> int:
    """Rows of a table of Parquet files."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in table.glob("*.parquet"))
