"""A real control API in a process of its own, which tests may kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from rampart.data.cleaning import clean
from serving.control.runs.local import LocalRuns
from tests.conftest import campaigns

TOKEN = "a token that is long enough".replace(" ", "-")
ENDED = ("succeeded", "failed", "stopped")
_READY = re.compile(r"^Control API at (http://[\d.]+:\d+);")


@dataclass
class Api:
    """The process, and a client that it knows."""

    process: subprocess.Popen[str]
    client: httpx.Client
    root: Path

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.post(path, json=body, headers=headers)

    def started(self, path: str, body: Any, *, key: str | None = None) -> str:
        """The id of a run that was started."""
        answer = self.post(path, body, key=key)
        assert answer.status_code == 202, answer.text
        said = answer.json()
        return str(said.get("run", said)["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def ended(self, run_id: str) -> dict[str, Any]:
        until(lambda: self.run(run_id)["state"] in ENDED)
        return self.run(run_id)

    def follow(self, path: str, after: str | None = None) -> list[tuple[str, str, Any]]:
        """All events to the end: id, name, data."""
        headers = {} if after is None else {"Last-Event-ID": after}
        with self.client.stream("GET", path, headers=headers, timeout=120) as answer:
            assert answer.status_code == 200, answer.read()
            return list(events(answer.iter_lines()))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def process_of(self, run_id: str) -> int:
        """The number of a run's process."""
        file = self.root / "runs" / run_id / "process"
        until(lambda: file.exists() and file.read_text())
        return int(file.read_text())


def events(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
    """Server-sent events, read as the specification has it."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        elif fields.get("data"):
            yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


@contextmanager
def serving(
    root: Path, *flags: str, leave_nothing: bool = True, **environment: str
) -> Iterator[Api]:
    """An API over a folder, ended politely if a test has not killed it, and its runs after it."""
    given = {name: it for name, it in os.environ.items() if not name.startswith("RAMPART_CONTROL")}
    given["RAMPART_CONTROL_TOKEN"] = TOKEN
    call = [sys.executable, "-m", "serving.control", "--port", "0", "--root", str(root), *flags]
    root.mkdir(parents=True, exist_ok=True)
    log = root / "api.log"
    with (
        log.open("a") as errors,
        subprocess.Popen(
            call, stdout=subprocess.PIPE, stderr=errors, text=True, env=given | environment
        ) as process,
    ):
        assert process.stdout is not None
        found = _READY.match(process.stdout.readline())
        assert found, log.read_text()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=found[1], headers=headers, timeout=60) as client:
            try:
                yield Api(process, client, root)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
                for run in LocalRuns(root).going() if leave_nothing else ():
                    LocalRuns(root).stop(run.id)


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def split_file(path: Path, count: int = 300) -> Path:
    """A table of messages, each a campaign of its own, split three to one to one."""
    texts, labels = zip(*campaigns(count), strict=True)
    rows = np.arange(count)
    parts = np.array(["train", "train", "train", "validation", "test"])
    split = parts[rows // 3 % len(parts)]
    table = pd.DataFrame(
        {
            "id": rows.astype(str),
            "group": "made",
            "label": np.array(labels, dtype=np.int8),
            "text": texts,
            "clean": [clean(text).text for text in texts],
            "subject": "",
            "arrived": pd.NaT,
            "has_html": False,
            "attachments": "",
            "campaign": rows.astype(str),
            "split": split,
            "time_split": split,
        }
    )
    table.to_parquet(path)
    return path


def alive(process: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(process: int) -> list[int]:
    """Numbers of what a process has started, and what that has."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == process:
            found += [int(stat.parent.name), *children(int(stat.parent.name))]
    return found
