"""The servers that are measured, each with the settings that its documentation says are best."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

from benchmarks.serving.peers.work import CASCADE, ENCODER, ENSEMBLE, PLAIN
from benchmarks.serving.processes import Server, environment
from serving.export import ARCHIVE_MANIFEST, archive_manifest, archive_settings


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
    alone = {"models": ["encoder"], "explain": "none"} if work == ENCODER else {}
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
    python = environment("mlserver", folder / "mlserver")
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
    python = environment("torchserve", folder / "torchserve-environment")
    store = folder / "torchserve"
    store.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(store / "rampart.mar", "w") as archive:
        archive.writestr(
            "handler.py", "from benchmarks.serving.peers.torchserve_handler import handle\n"
        )
        archive.writestr(ARCHIVE_MANIFEST, json.dumps(archive_manifest("rampart")))
    told = store / f"{work}.properties"
    told.write_text(
        "inference_address=http://127.0.0.1:{port}\nmanagement_address=http://127.0.0.1:{spare}\n"
        "metrics_address=http://127.0.0.1:{spare2}\ngrpc_inference_port={spare3}\n"
        "grpc_management_port={spare4}\njob_queue_size=1000\n" + archive_settings("rampart")
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


def everything(folder: Path) -> list[Server]:
    """Every server, with each kind of work that it is measured with."""
    found = []
    for work in (PLAIN, ENCODER, ENSEMBLE, CASCADE):
        found += [
            stock_kserve(f"KServe predictor, {work}", work),
            mlserver(f"MLServer, {work}", work, folder),
            torchserve(f"TorchServe, {work}", work, folder),
        ]
        if work != PLAIN:
            found += [
                rampart(f"Rampart, {work}", work),
                rampart(f"Rampart with 2 workers, {work}", work, workers=2),
            ]
    return [*found, rampart("Rampart, cascade and cache on repeats", CASCADE, cache=True)]
