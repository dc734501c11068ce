"""Servers as processes: installed, started, asked, looked at and ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.peers.work import BUNDLE, THREADS, WORK

ROOT = Path(__file__).parents[2]
_DEADLINE = 120.0
MARK = "@@MARK@@"


@dataclass(frozen=True)
class Server:
    """A server that can be started.

    Attributes:
        name: in the tables.
        settings: what it was told, for the reader.
        work: which models it asks; see `peers.work`.
        command: with {port}.
        path: of the V2 inference.
        ready: path that answers 200 once it serves.
        parameters: of each request.
        environment: variables beside the common ones.
        repeats: whether real texts are sent again and again, as they are.
        told: file of settings with the ports in braces, which are filled in; {told} is where.
    """

    name: str
    settings: str
    work: str
    command: Sequence[str]
    path: str = "/v2/models/rampart/infer"
    ready: str = "/v2/models/rampart/ready"
    parameters: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    repeats: bool = False
    told: Path | None = None

    def body(self, text: str) -> str:
        """A request for one text, on one line, with the mark that makes it unlike any other."""
        sent = text if self.repeats else f"{text}\n{MARK}"
        tensor = {
            "name": "text",
            "shape": [1],
            "datatype": "BYTES",
            "data": [sent],
            "parameters": {"content_type": "str"},
        }
        if "content_type" in self.parameters:
            return json.dumps({"inputs": [tensor]})
        del tensor["parameters"]
        document: dict[str, object] = {"inputs": [tensor]}
        if self.parameters:
            document["parameters"] = dict(self.parameters)
        return json.dumps(document)


def environment(lock: str, home: Path, version: str = "3.11") -> Path:
    """The Python of an environment with what a lock pins, made where it is not there.

    Args:
        lock: its name in requirements/.
        home: folder of the environment.
        version: of Python, or the path of one.
    """
    python = home / "bin" / "python"
    if not python.exists():
        uv = _uv()
        subprocess.run([uv, "venv", "--quiet", "--python", version, str(home)], check=True)
        pinned = str(ROOT / "requirements" / f"{lock}.txt")
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes",
             "--requirement", pinned],
            check=True,
        )  # fmt: skip
    return python


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"


@contextmanager
def running(server: Server, bundle: Path, threads: int, log: Path) -> Iterator[tuple[str, int]]:
    """A server that answers: its address and its process id; ended afterwards, with its children.

    Raises:
        RuntimeError: it did not come up; its output is in `log`.
    """
    port, *spare = map(str, free_ports(5))
    known = {
        "port": port, "above": str(int(port) + 1), "spare": spare[0],
        **{f"spare{number}": one for number, one in enumerate(spare[1:], 2)},
        "bundle": str(bundle), "threads": str(threads),
    }  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        # TorchServe keeps the id of its one process there, and its logs where it stands.
        "TMPDIR": str(log.parent),
        BUNDLE: str(bundle),
        WORK: server.work,
        THREADS: str(threads),
        **{name: value.format(**known) for name, value in server.environment.items()},
    }
    if server.told:
        settings = server.told.read_text(encoding="utf-8")
        for name, value in known.items():
            settings = settings.replace(f"{{{name}}}", value)
        known["told"] = str(log.with_suffix(".properties"))
        Path(known["told"]).write_text(settings, encoding="utf-8")
    command = [part.format(**known) for part in server.command]
    with log.open("w") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env=environment, cwd=log.parent
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _DEADLINE
        while not _answers(address + server.ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{server.name} did not come up; see {log}.")
            time.sleep(0.2)
        yield address, process.pid
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True)] if _lives(process) else []
        for one in [process, *family]:
            one.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for one in family:
            if one.is_running():
                one.kill()


def resident(pid: int) -> float:
    """Megabytes that a process and its children hold."""
    head = psutil.Process(pid)
    held = sum(one.memory_info().rss for one in (head, *head.children(recursive=True)))
    return float(held) / 1e6


def checked(server: Server, address: str, text: str) -> None:
    """Ask once, so that no figure is of a server that answers nonsense.

    Raises:
        RuntimeError: there is no probability in its answer.
    """
    reply = httpx.post(
        address + server.path,
        content=server.body(text),
        headers={"content-type": "application/json"},
        timeout=60,
    )
    outputs = reply.json().get("outputs", []) if reply.status_code == 200 else []
    found = [output["data"][0] for output in outputs if output["name"] == "probability"]
    if not found or not 0.0 <= found[0] <= 1.0:
        raise RuntimeError(f"{server.name} answered {reply.status_code}: {reply.text[:300]}")


def _lives(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
