"""The predictor for long, under too much, and while bundles change: `make benchmark-endurance`.

In one run, on one server: its capacity, by a closed loop; then requests at 80 % of it, each at its
own time whatever became of the one before, with latency counted from that time; then three times
the capacity, while probes are asked and timed; then what is left of that when it is over; and at
last 10,000 requests while two bundles take turns. Texts are held-out mails, none sent twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from benchmarks.serving.peers.work import CASCADE
from benchmarks.serving.processes import resident, running
from benchmarks.serving.servers import rampart
from rampart.bundle.staging import staged
from rampart.bundle.store import read_manifest, seal
from rampart.data.sources import SPAM_ASSASSIN

FOLDER = Path("build/benchmarks/endurance")
_CLIENTS = 32
_PROBES = ("/v2/health/live", "/v2/health/ready")
_PROBE_SECONDS = 0.1
_TIMEOUT = aiohttp.ClientTimeout(total=60)


@dataclass
class Tally:
    """What became of requests: statuses by number, latencies of the answered in ms."""

    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    unsaid: int = 0
    bundles: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Verdicts."""
        return self.statuses[200]

    @property
    def failed(self) -> int:
        """Neither a verdict nor told to try again later."""
        return sum(self.statuses.values()) - self.answered - self.statuses[503] + self.unsaid

    def percentile(self, share: float) -> float:
        """Of the answered requests' latencies, ms; NaN where there are none."""
        return float(np.percentile(self.milliseconds, share)) if self.milliseconds else float("nan")


class Client:
    """Sends mails one a request, none of them twice."""

    def __init__(self, address: str, texts: Sequence[str]) -> None:
        self.address = address
        self._texts = texts
        self._sent = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        # What waits beyond that waits here, and its time is counted as all the others'.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        connector = aiohttp.TCPConnector(limit=files // 2)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """While it is entered."""
        assert self._session is not None  # noqa: S101 - what __aenter__ is for
        return self._session

    async def once(self, tally: Tally, due: float | None = None) -> None:
        """One request, counted; latency from when it was due."""
        text = f"{self._texts[self._sent % len(self._texts)]}\n{self._sent}"
        self._sent += 1
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
        begin = time.perf_counter() if due is None else due
        url = f"{self.address}/v2/models/rampart/infer"
        try:
            async with self.session.post(url, json={"inputs": [tensor]}) as reply:
                document = await reply.json()
                status = reply.status
                # Told to come later, but not when, is a failure.
                tally.unsaid += status == 503 and "Retry-After" not in reply.headers
        except (aiohttp.ClientError, TimeoutError):
            status, document = 0, {}
        tally.statuses[status] += 1
        if status == 200:
            tally.milliseconds.append((time.perf_counter() - begin) * 1e3)
            tally.bundles[document["parameters"]["bundle"]] += 1

    async def closed(self, seconds: float, clients: int = _CLIENTS) -> Tally:
        """As many as get answered: each client sends its next when it has its answer."""
        tally, begin = Tally(), time.perf_counter()

        async def one() -> None:
            while time.perf_counter() < begin + seconds:
                await self.once(tally)

        await asyncio.gather(*(one() for _ in range(clients)))
        tally.seconds = time.perf_counter() - begin
        return tally

    async def counted(self, count: int, clients: int = 8) -> Tally:
        """So many requests, by so many clients."""
        tally, left = Tally(), iter(range(count))

        async def one() -> None:
            for _ in left:
                await self.once(tally)

        await asyncio.gather(*(one() for _ in range(clients)))
        return tally

    async def at_rate(self, rate: float, seconds: float) -> Tally:
        """Requests at times of their own, whether or not those before were answered."""
        tally, begin = Tally(), time.perf_counter()
        draws = np.random.default_rng(0)
        due, tasks = begin, set()
        while due < begin + seconds:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self.once(tally, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += draws.exponential(1.0 / rate)
        await asyncio.gather(*tasks)
        tally.seconds = time.perf_counter() - begin
        return tally

    async def probed(self, work: Awaitable[Tally]) -> tuple[Tally, list[float]]:
        """What comes of the work, and the milliseconds that probes took meanwhile."""
        took: list[float] = []
        doing = asyncio.ensure_future(work)
        # In no queue of the others.
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while not doing.done():
                for path in _PROBES:
                    begin = time.perf_counter()
                    async with session.get(self.address + path) as reply:
                        await reply.read()
                        if reply.status != 200:
                            took.append(float("inf"))
                    took.append((time.perf_counter() - begin) * 1e3)
                await asyncio.sleep(_PROBE_SECONDS)
        return doing.result(), took


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a request failed that should not have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.endurance",
                                     description=__doc__)  # fmt: skip
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--minutes", type=float, default=30.0, help="at 80 %% of capacity")
    parser.add_argument("--overload", type=float, default=20.0, help="seconds at three times it")
    parser.add_argument("--requests", type=int, default=10_000, help="while bundles take turns")
    parser.add_argument("--threads", type=int, default=2, help="of each model")
    parser.add_argument("--queue", type=int, default=64, help="requests that may wait")
    given = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    served = FOLDER / "bundle"
    turns = [given.bundle, _another(given.bundle, FOLDER / "other")]
    _put(turns[0], served)
    usual = rampart("Rampart", CASCADE)
    server = replace(
        usual, command=[*usual.command, "--queue", str(given.queue), "--model_control", "1"]
    )
    texts = corpus.held_out(given.source, seed=0)
    with running(server, served.resolve(), given.threads, FOLDER / "server.log") as (address, pid):
        run = _Run(Client(address, texts), pid, Console(width=120))
        return asyncio.run(run.all(given, turns, served))


class _Run:
    def __init__(self, client: Client, pid: int, console: Console) -> None:
        self.client = client
        self.pid = pid
        self.console = console
        self.found: dict[str, object] = {}

    async def all(self, given: argparse.Namespace, turns: Sequence[Path], served: Path) -> int:
        async with self.client:
            await self.client.closed(5.0)
            capacity = await self._capacity()
            failed = await self._steady(0.8 * capacity, given.minutes)
            failed += await self._overload(capacity, given.overload)
            failed += await self._reload(given.requests, turns, served)
        path = FOLDER / "endurance.json"
        path.write_text(json.dumps(self.found, indent=1), encoding="utf-8")
        self.console.print(f"{failed} requests failed that should not have. Kept in {path}")
        return 1 if failed else 0

    async def _capacity(self) -> float:
        tally = await self.client.closed(15.0)
        capacity = tally.answered / tally.seconds
        self.found["capacity"] = capacity
        self.console.print(
            f"Capacity, {_CLIENTS} clients in a closed loop: {capacity:.0f} requests/s, "
            f"p50 {tally.percentile(50):.0f} ms, p99 {tally.percentile(99):.0f} ms"
        )
        return capacity

    async def _steady(self, rate: float, minutes: float) -> int:
        table = Table(
            "till minute", "answered", "told to wait", "failed", "p50 ms", "p99 ms", "resident MB",
            title=f"At {rate:.0f} requests/s, 80 % of capacity",
        )  # fmt: skip
        rows, failed = [], 0
        pieces = max(2, round(minutes))
        for piece in range(pieces):
            tally = await self.client.at_rate(rate, minutes * 60 / pieces)
            memory = resident(self.pid)
            row = [tally.answered, tally.statuses[503], tally.failed, tally.percentile(50),
                   tally.percentile(99), memory]  # fmt: skip
            rows.append(row)
            failed += tally.failed
            table.add_row(
                f"{(piece + 1) * minutes / pieces:.1f}", *(f"{value:.0f}" for value in row)
            )
        self.console.print(table)
        self.found["steady"] = rows
        return failed

    async def _overload(self, capacity: float, seconds: float) -> int:
        before = self._computed()
        tally, probes = await self.client.probed(self.client.at_rate(3 * capacity, seconds))
        server, client = (after - one for after, one in zip(self._computed(), before, strict=True))
        goodput = tally.answered / tally.seconds
        begin = time.perf_counter()
        after = await self.client.counted(20, clients=1)
        recovered = time.perf_counter() - begin
        self.found["overload"] = {
            "goodput": goodput, "refused": tally.statuses[503], "failed": tally.failed,
            "probe_p50": float(np.median(probes)), "probe_p99": float(np.percentile(probes, 99)),
            "after": after.milliseconds, "server_cores": server / tally.seconds,
            "client_cores": client / tally.seconds,
        }  # fmt: skip
        self.console.print(
            f"At three times the capacity for {seconds:.0f} s: {goodput:.0f} verdicts/s, "
            f"{goodput / capacity:.0%} of capacity; {tally.statuses[503]} told to try again, "
            f"{tally.failed} failed; answered p99 {tally.percentile(99):.0f} ms; "
            f"probes p50 {np.median(probes):.0f} ms, p99 {np.percentile(probes, 99):.0f} ms, "
            f"longest {max(probes):.0f} ms; the server took {server / tally.seconds:.2f} cores, "
            f"the client {client / tally.seconds:.2f} of the {os.cpu_count()}."
        )
        self.console.print(
            f"At once afterwards 20 requests took {recovered:.2f} s, the slowest "
            f"{max(after.milliseconds, default=float('nan')):.0f} ms; {after.answered} answered."
        )
        return tally.failed + after.statuses.total() - after.answered

    def _computed(self) -> tuple[float, float]:
        """CPU seconds that the server and this client have taken."""
        spent = psutil.Process(self.pid).cpu_times()
        return spent.user + spent.system, time.process_time()

    async def _reload(self, requests: int, turns: Sequence[Path], served: Path) -> int:
        names = {read_manifest(folder).id for folder in turns}
        swaps, done = 0, False

        async def swap() -> None:
            nonlocal swaps
            url = f"{self.client.address}/v2/repository/models/rampart/load"
            while not done:
                swaps += 1
                await asyncio.to_thread(_put, turns[swaps % 2], served)
                async with self.client.session.post(url) as reply:
                    assert reply.status == 200, await reply.text()  # noqa: S101 - else no figure
                await asyncio.sleep(1.0)

        swapping = asyncio.create_task(swap())
        tally = await self.client.counted(requests)
        done = True
        await swapping
        strangers = sum(count for name, count in tally.bundles.items() if name not in names)
        failed = requests - tally.answered + strangers
        self.found["reload"] = {"requests": requests, "failed": failed, "swaps": swaps}
        self.console.print(
            f"{requests} requests while {swaps} bundles took turns: {failed} failed; "
            f"by bundle {sorted(tally.bundles.values())}; p99 {tally.percentile(99):.0f} ms."
        )
        return failed


def _another(bundle: Path, folder: Path) -> Path:
    """The same models at another threshold: another bundle, by its id."""
    with staged(folder) as work:
        shutil.copytree(bundle, work, dirs_exist_ok=True)
        manifest = read_manifest(bundle)
        seal(work, manifest.model_copy(update={"threshold": manifest.threshold * 0.99}))
    return folder


def _put(bundle: Path, place: Path) -> None:
    with staged(place) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
