"""What each form of a request costs on one connection: `make benchmark-protocol`.

The same held-out mails as V2 JSON, as V2 binary and over gRPC, one and sixteen a request, in turns,
by one client without a pause. Verdicts come from the cache, so that what differs is the protocol:
reading, answering, and what KServe does between. Beside it stands what the engine takes for them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from benchmarks.serving.peers.work import CASCADE
from benchmarks.serving.processes import running
from benchmarks.serving.servers import rampart
from rampart.data.sources import SPAM_ASSASSIN
from rampart.inference.engine import Engine
from serving.predictor.sdk import pb, pb_grpc

FOLDER = Path("build/benchmarks/protocol")
_COUNTS = (1, 16)
_MAILS = 64
_HEADER = "Inference-Header-Content-Length"
Ask = Callable[[Sequence[str]], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.protocol",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--requests", type=int, default=400, help="of each form and round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    texts = corpus.held_out(given.source, seed=0)[:_MAILS]
    found: dict[tuple[str, int], list[list[float]]] = defaultdict(list)
    server = rampart("Rampart", CASCADE, cache=True, grpc=True)
    with running(server, given.bundle.resolve(), 2, FOLDER / "server.log") as (address, _):
        forms = _forms(address)
        for _ in range(given.rounds):
            for count in _COUNTS:
                batches = [texts[at : at + count] for at in range(0, _MAILS, count)]
                for name, ask in forms.items():
                    found[name, count].append(_timed(ask, batches, given.requests))
    engine = Engine.load(given.bundle, threads=2)
    engine.warm_up()
    for count in _COUNTS:
        batches = [texts[at : at + count] for at in range(0, _MAILS, count)]
        found["the engine, not from a cache", count].append(
            _timed(lambda some: void(engine.score(some)), batches, _MAILS // count)
        )
    Console(width=120).print(_table(found))


def void(_: object) -> None:
    """Take a result for nothing."""


def _forms(address: str) -> dict[str, Ask]:
    host, _, port = address.removeprefix("http://").partition(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    channel = grpc.insecure_channel(f"{host}:{int(port) + 1}")
    stub = pb_grpc.GRPCInferenceServiceStub(channel)

    def posted(body: bytes, headers: dict[str, str]) -> tuple[str | None, bytes]:
        connection.request("POST", "/v2/models/rampart/infer", body, headers)
        reply = connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"The server answered {reply.status}: {content[:300]!r}")
        return reply.getheader(_HEADER), content

    def as_json(texts: Sequence[str]) -> None:
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
        _, content = posted(json.dumps({"inputs": [tensor]}).encode(), {})
        json.loads(content)

    def as_binary(texts: Sequence[str]) -> None:
        data = _packed(texts)
        tensor = {
            "name": "text", "shape": [len(texts)], "datatype": "BYTES",
            "parameters": {"binary_data_size": len(data)},
        }  # fmt: skip
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        length, content = posted(head + data, {_HEADER: str(len(head))})
        json.loads(content[: int(length or 0)])

    def over_grpc(texts: Sequence[str]) -> None:
        tensor = pb.ModelInferRequest.InferInputTensor(
            name="text", datatype="BYTES", shape=[len(texts)]
        )
        stub.ModelInfer(
            pb.ModelInferRequest(
                model_name="rampart", inputs=[tensor], raw_input_contents=[_packed(texts)]
            )
        )

    return {"V2 JSON": as_json, "V2 binary": as_binary, "V2 gRPC, raw contents": over_grpc}


def _packed(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(len(one).to_bytes(4, "little") + one for one in encoded)


def _timed(ask: Ask, batches: Sequence[Sequence[str]], requests: int) -> list[float]:
    """Milliseconds of each request; the first over all batches fill the cache."""
    for batch in batches:
        ask(batch)
    took = []
    for number in range(requests):
        begin = time.perf_counter()
        ask(batches[number % len(batches)])
        took.append((time.perf_counter() - begin) * 1e3)
    return took


def _table(found: dict[tuple[str, int], list[list[float]]]) -> Table:
    table = Table("", "mails a request", "p50 ms (lowest to highest round)", "p99 ms",
                  title="One connection, verdicts from the cache")  # fmt: skip
    for (name, count), rounds in sorted(found.items(), key=lambda one: one[0][1]):
        middles = [float(np.median(one)) for one in rounds]
        tail = float(np.percentile(np.concatenate(rounds), 99))
        table.add_row(
            name, str(count),
            f"{np.median(middles):.2f} ({min(middles):.2f} to {max(middles):.2f})", f"{tail:.2f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
