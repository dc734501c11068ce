"""The servers that are measured: how each is set up, started, asked and ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.peers.work import BUNDLE, CASCADE, ENSEMBLE, PLAIN, THREADS, WORK

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


def torchserve(name: str, work: str, folder: Path) -> Server:
    """TorchServe with batching, in an environment of its own; its front end runs on Java."""
    python = _environment("torchserve", folder)
    store = folder / "torchserve"
    store.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(store / "rampart.mar", "w") as archive:
        archive.writestr(
            "handler.py", "from benchmarks.serving.peers.torchserve_handler import handle\n"
        )
        model = {"modelName": "rampart", "handler": "handler.py", "modelVersion": "1.0"}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
    version = {"defaultVersion": True, "marName": "rampart.mar", "minWorkers": 1, "maxWorkers": 1,
               "batchSize": 16, "maxBatchDelay": 10, "responseTimeout": 120}  # fmt: skip
    told = store / f"{work}.properties"
    told.write_text(
        "inference_address=http://127.0.0.1:{port}\nmanagement_address=http://127.0.0.1:{spare}\n"
        "metrics_address=http://127.0.0.1:{spare2}\ngrpc_inference_port={spare3}\n"
        "grpc_management_port={spare4}\njob_queue_size=1000\nload_models=rampart.mar\n"
        "models=" + json.dumps({"rampart": {"1.0": version}}) + "\n"
    )
    quiet = store / "log4j2.xml"
    quiet.write_text('<Configuration><Loggers><Root level="error"/></Loggers></Configuration>\n')
    return Server(
        name,
        "batches of 16 in 10 ms, 1 worker, 1,000 may wait, no logs",
        work,
        [str(python.with_name("torchserve")), "--start", "--foreground", "--ncs",
         "--disable-token-auth", "--model-store", str(store), "--ts-config", "{told}",
         "--log-config", str(quiet)],
        ready="/ping",
        told=told,
    )  # fmt: skip


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
    port, *spare = map(str, _free_ports(5))
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


def everything(folder: Path) -> list[Server]:
    """Every server, with each kind of work that it is measured with."""
    return [
        stock_kserve("KServe predictor, plain encoder", PLAIN),
        mlserver("MLServer, plain encoder", PLAIN, folder),
        torchserve("TorchServe, plain encoder", PLAIN, folder),
        stock_kserve("KServe predictor, encoder", "encoder"),
        mlserver("MLServer, encoder", "encoder", folder),
        torchserve("TorchServe, encoder", "encoder", folder),
        rampart("Rampart, encoder", "encoder"),
        rampart("Rampart with 2 workers, encoder", "encoder", workers=2),
        stock_kserve("KServe predictor, ensemble", ENSEMBLE),
        mlserver("MLServer, ensemble", ENSEMBLE, folder),
        torchserve("TorchServe, ensemble", ENSEMBLE, folder),
        rampart("Rampart, ensemble", ENSEMBLE),
        rampart("Rampart with 2 workers, ensemble", ENSEMBLE, workers=2),
        stock_kserve("KServe predictor, cascade", CASCADE),
        mlserver("MLServer, cascade", CASCADE, folder),
        torchserve("TorchServe, cascade", CASCADE, folder),
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
