"""Verdicts a second, latency and memory beside other servers: `make benchmark-serving`.

Held-out mails (the test part of the campaign split), one a request, each marked so that no text is
sent twice, are sent by wrk in a closed loop: so many connections, each with one request under way.
Servers take turns, and turns are repeated. All run the same engine on the same bundle with the same
threads, in three kinds of work: the encoder alone without explanations, the whole ensemble, and the
ensemble behind its cascade, where the bundle has one. The other servers run a fourth besides, the
same encoder as one writes it by the documentation, without the engine. Beside them stands the
engine without any server, in one process, one text after the other: the limit. What the verdict
cache adds is a row of its own, in which a hundred mails are sent again and again as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from benchmarks.serving.peers.work import (
    BUNDLE,
    CASCADE,
    ENCODER,
    ENSEMBLE,
    PLAIN,
    THREADS,
    WORK,
    scorer,
)
from benchmarks.serving.processes import Server, checked, resident, running
from benchmarks.serving.servers import everything
from rampart.data.sources import SPAM_ASSASSIN
from rampart.drawing import COLOURS, plot

FOLDER = Path("build/benchmarks/serving")
_SCRIPT = Path(__file__).with_name("load.lua")
_ENGINE = "engine alone, "
_REPEATED = 100
Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo/bundle"))
    parser.add_argument("--source", default=SPAM_ASSASSIN, help="that the bundle was trained on")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of each model")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--only", default="", help="servers whose names hold this")
    given = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        sys.exit("wrk is not on PATH. Install it, on Debian and Ubuntu by: apt-get install wrk")
    if shutil.which("java") is None:
        sys.exit("java is not on PATH, and TorchServe's front end needs it: install Java 17.")
    bundle = given.bundle.resolve()
    folder = FOLDER.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=150)
    texts = corpus.held_out(given.source, given.seed)
    found: dict[str, dict[int, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    memory: dict[str, list[float]] = defaultdict(list)
    servers = [one for one in everything(folder) if given.only in one.name]
    for server in servers:
        console.print(f"{server.name}: {server.settings}", style="dim")
    for turn in range(given.rounds):
        for work in (ENCODER, ENSEMBLE, CASCADE):
            if given.only in _ENGINE + work:
                figures = _engine_alone(bundle, work, texts, given.threads, given.seconds)
                found[_ENGINE + work][1].append(figures)
        for server in servers:
            bodies = folder / "bodies.jsonl"
            # A campaign that goes on and on, where it is about texts that come again.
            sent = texts[:_REPEATED] if server.repeats else texts
            bodies.write_text("\n".join(map(server.body, sent)), encoding="utf-8")
            log = folder / f"{server.name.replace(' ', '-').replace(',', '')}.log"
            with running(server, bundle, given.threads, log) as (address, pid):
                checked(server, address, texts[0])
                for connections in given.connections:
                    run = f"{turn}-{connections}"
                    figures = _load(server, address, bodies, connections, given.seconds, run)
                    found[server.name][connections].append(figures)
                memory[server.name].append(resident(pid))
            console.print(f"round {turn + 1}: {server.name} done", style="dim")
    _report(console, given.connections, found, memory)
    document = {
        "found": found,
        "memory": memory,
        "settings": {server.name: server.settings for server in servers},
        "seconds": given.seconds,
        "threads": given.threads,
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "throughput.svg").write_text(_picture(found), encoding="utf-8")
    console.print(f"Kept in {FOLDER}/results.json, drawn in {FOLDER}/throughput.svg")


def _load(
    server: Server, address: str, bodies: Path, connections: int, seconds: int, run: str
) -> Figures:
    """Figures of one closed loop; latencies in ms."""
    environment = {
        **os.environ,
        "BENCHMARK_BODIES": str(bodies),
        "BENCHMARK_RUN": run,
        "BENCHMARK_REPEATS": str(int(server.repeats)),
    }
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"]
    command += ["-s", str(_SCRIPT), address + server.path]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    line = next(line for line in said.stdout.splitlines() if line.startswith("RESULT "))
    figures: Figures = json.loads(line.removeprefix("RESULT "))
    figures["rate"] = (figures["requests"] - figures["refused"]) / figures["seconds"]
    return figures


def _engine_alone(
    bundle: Path, work: str, texts: Sequence[str], threads: int, seconds: int
) -> Figures:
    """What one thread of calls gets out of the engine, in a process of its own."""
    environment = {**os.environ, BUNDLE: str(bundle), WORK: work, THREADS: str(threads)}
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.limit", str(seconds)],
        env=environment, check=True, capture_output=True, text=True,
        input=json.dumps(list(texts)),
    )  # fmt: skip
    figures: Figures = json.loads(said.stdout)
    return figures


def limit(texts: Sequence[str], seconds: float) -> Figures:
    """Score texts one after the other for so long, none twice."""
    score = scorer()
    times: list[float] = []
    end = time.perf_counter() + seconds
    begin = last = time.perf_counter()
    while last < end:
        score([f"{texts[len(times) % len(texts)]}\n{len(times)}"])
        now = time.perf_counter()
        times.append(now - last)
        last = now
    p50, p99 = (np.percentile(times, [50, 99]) * 1e3).tolist()
    return {
        "requests": len(times), "seconds": last - begin, "rate": len(times) / (last - begin),
        "p50": p50, "p99": p99, "refused": 0, "broken": 0,
    }  # fmt: skip


def _median(rounds: Sequence[Figures], name: str) -> float:
    return float(np.median([figures[name] for figures in rounds]))


def _report(
    console: Console,
    connections: Sequence[int],
    found: dict[str, dict[int, list[Figures]]],
    memory: dict[str, list[float]],
) -> None:
    for count in connections:
        table = Table(
            title=f"{count} connections: median of the rounds (lowest to highest)",
            title_justify="left", box=None, header_style="bold",
        )  # fmt: skip
        for name in ("", "requests/s", "p50 ms", "p99 ms", "refused", "broken", "resident MB"):
            table.add_column(name, justify="left" if not name else "right")
        for name, by_count in found.items():
            rounds = by_count.get(count)
            if not rounds:
                continue
            rates = [figures["rate"] for figures in rounds]
            table.add_row(
                name,
                f"{np.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})",
                *(f"{_median(rounds, which):.1f}" for which in ("p50", "p99")),
                *(f"{sum(figures[which] for figures in rounds):.0f}" for which in
                  ("refused", "broken")),
                f"{np.median(memory[name]):.0f}" if memory.get(name) else "",
            )  # fmt: skip
        console.print(table)
    _ratios(console, found)


def _ratios(console: Console, found: dict[str, dict[int, list[Figures]]]) -> None:
    """How Rampart stands to the best of the others, by the median of the rounds."""
    for work in (ENCODER, ENSEMBLE, CASCADE):
        own = {
            name: by_count
            for name, by_count in found.items()
            if name.startswith("Rampart") and name.endswith(f", {work}")
        }
        for (name, count), rounds in (
            ((name, count), rounds)
            for name, by_count in own.items()
            for count, rounds in by_count.items()
        ):
            rate, tail = _median(rounds, "rate"), _median(rounds, "p99")
            said = [f"{name} at {count}:"]
            for label, others in (
                ("the best peer with the same work", _of(found, work)),
                ("the best peer with the ensemble", _of(found, ENSEMBLE)),
                ("the best peer with the encoder", _of(found, ENCODER)),
                ("the best peer with the plain encoder", _of(found, PLAIN)),
            ):
                known = [by[count] for _, by in others if by.get(count)]
                if known:
                    best = max(_median(one, "rate") for one in known)
                    quickest = min(_median(one, "p99") for one in known)
                    said.append(
                        f"{rate / best:.2f} times the requests/s of {label}, p99 "
                        f"{tail / quickest:.2f} of it;"
                    )
            alone = found.get(_ENGINE + work)
            if alone:
                said.append(f"{rate / _median(alone[1], 'rate'):.0%} of the engine alone.")
            console.print(" ".join(said))


def _of(
    found: dict[str, dict[int, list[Figures]]], work: str
) -> list[tuple[str, dict[int, list[Figures]]]]:
    return [
        (name, by_count) for name, by_count in found.items()
        if name.endswith(f", {work}") and not name.startswith(("Rampart", "engine"))
    ]  # fmt: skip


def _picture(found: dict[str, dict[int, list[Figures]]]) -> str:
    """Requests a second of every server at the most connections but one, or at those there are."""
    names = list(found)
    counts = sorted({count for by_count in found.values() for count in by_count})
    shown = 32 if 32 in counts else counts[-1]
    with plot(f"Requests/s at {shown} connections", len(names), width=8.0) as (axes, svg):
        for place, name in enumerate(names):
            rounds = found[name].get(shown) or found[name].get(1) or []
            rate = _median(rounds, "rate")
            own = name.startswith("Rampart")
            axes.barh(place, rate, height=0.6, color=COLOURS[1 if own else 0], alpha=0.6)
            axes.text(rate, place, f" {rate:.0f}", va="center")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("requests/s, median of the rounds; the engine alone: texts/s")
    return svg.getvalue()


if __name__ == "__main__":
    main()
