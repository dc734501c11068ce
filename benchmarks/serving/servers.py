"""The servers that are measured: how each is set up, started, asked and ended."""

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

from benchmarks.serving.peers.work import BUNDLE, CASCADE, ENSEMBLE, THREADS, WORK

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


def rampart(
    name: str, work: str, *, cache: bool = False, workers: int = 1, grpc: bool = False
) -> Server:
    """Rampart's own predictor; gRPC, where it is asked for, one port above REST."""
    told = {
        "RAMPART_CASCADE": str(work == CASCADE),
        "RAMPART_CACHE_BYTES": "64000000" if cache else "0",
        "RAMPART_BATCH_TOKENS": "4096",
        "RAMPART_WORKERS": str(workers),
    }
    alone = {"models": ["encoder"], "explain": "none"} if work == "encoder" else {}
    command = [sys.executable, "-m", "serving.predictor", "--bundle", "{bundle}"]
    command += ["--host", "127.0.0.1", "--http_port", "{port}"]
    command += ["--grpc_port", "{above}" if grpc else "0"]
    return Server(
        name,
        ", ".join(f"{key.removeprefix('RAMPART_').lower()} {value}" for key, value in told.items()),
        work,
        [*command, "--threads", "{threads}", "--queue", "1000"],
        parameters=alone,
        environment=told,
        repeats=cache,
    )


def stock_kserve(name: str, work: str) -> Server:
    """KServe's custom predictor, on the same release of its SDK."""
    return Server(
        name,
        "1 worker, no latency log, no access log",
        work,
        [sys.executable, "-m", "benchmarks.serving.peers.stock_kserve", "{port}"],
    )


def mlserver(name: str, work: str, folder: Path) -> Server:
    """MLServer with adaptive batching, in an environment of its own."""
    python = _environment("mlserver", folder)
    model = folder / f"mlserver-{work}"
    model.mkdir(parents=True, exist_ok=True)
    (model / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "rampart",
                "implementation": "benchmarks.serving.peers.mlserver_runtime.Runtime",
                "max_batch_size": 16,
                "max_batch_time": 0.01,
            }
        )
    )
    return Server(
        name,
        "adaptive batching of 16 in 10 ms, 1 parallel worker, no metrics, no access log",
        work,
        [str(python.with_name("mlserver")), "start", str(model)],
        parameters={"content_type": "str"},
        environment={
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{spare}",
            "MLSERVER_METRICS_PORT": "{spare2}",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_PARALLEL_WORKERS": "1",
            "MLSERVER_DEBUG": "false",
        },
    )


def _environment(lock: str, folder: Path) -> Path:
    """The Python of an environment with what a lock pins, made where it is not there."""
    home = folder / lock
    python = home / "bin" / "python"
    if not python.exists():
        uv = _uv()
        subprocess.run([uv, "venv", "--quiet", "--python", "3.11", str(home)], check=True)
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
    port, spare, spare2 = _free_ports(3)
    known = {
        "port": str(port), "above": str(port + 1), "spare": str(spare), "spare2": str(spare2),
        "bundle": str(bundle), "threads": str(threads),
    }  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        BUNDLE: str(bundle),
        WORK: server.work,
        THREADS: str(threads),
        **{name: value.format(**known) for name, value in server.environment.items()},
    }
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


def everything(folder: Path) -> list[Server]:
    """Every server, with each kind of work that it is measured with."""
    return [
        stock_kserve("KServe predictor, encoder", "encoder"),
        mlserver("MLServer, encoder", "encoder", folder),
        rampart("Rampart, encoder", "encoder"),
        rampart("Rampart with 2 workers, encoder", "encoder", workers=2),
        stock_kserve("KServe predictor, ensemble", ENSEMBLE),
        mlserver("MLServer, ensemble", ENSEMBLE, folder),
        rampart("Rampart, ensemble", ENSEMBLE),
        rampart("Rampart with 2 workers, ensemble", ENSEMBLE, workers=2),
        stock_kserve("KServe predictor, cascade", CASCADE),
        mlserver("MLServer, cascade", CASCADE, folder),
        rampart("Rampart, cascade", CASCADE),
        rampart("Rampart with 2 workers, cascade", CASCADE, workers=2),
        rampart("Rampart, cascade and cache on repeats", CASCADE, cache=True),
    ]


def _lives(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
