"""Starts one_or_more.py: alone, in several processes, or under torchrun."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.serving.processes import free_ports

if TYPE_CHECKING:
    from tests.integration.one_or_more import How

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("one_or_more.py")
TORCHRUN = Path(sys.executable).with_name("torchrun")
_SECONDS = 240
# Its processes are forked from one that has torch in memory: each start costs no import.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.integration.one_or_more", "rampart.training.trainer"])


@dataclass(frozen=True)
class Done:
    """How processes ended: their exit codes, what the first found, and what went wrong."""

    codes: list[int | None]
    found: dict[str, Any] | None
    errors: str


def trained(how: How, count: int = 1) -> dict[str, Any]:
    """What a training that goes well comes to."""
    done = run(how, count)
    assert done.found is not None, done.errors
    assert done.codes == [0] * count, done.errors
    return done.found


def run(how: How, count: int = 1) -> Done:
    """Train in so many processes; where one is lost, the others are ended."""
    [port] = free_ports(1)
    reader, writer = _FORKS.Pipe(duplex=False)
    ranks = [
        _FORKS.Process(target=_rank, args=(how, rank, count, port, writer)) for rank in range(count)
    ]
    for one in ranks:
        one.start()
    writer.close()
    said: list[Any] = []
    waiting: list[Any] = [one.sentinel for one in ranks]
    while waiting:
        ready = wait([*waiting, reader], timeout=_SECONDS)
        assert ready, "the processes do not end"
        if reader in ready:
            said += _said(reader)
        waiting = [one for one in waiting if one not in ready]
        if any(one.exitcode for one in ranks):
            break
    for one in ranks:
        one.terminate() if any(each.exitcode for each in ranks) else None
        one.join(_SECONDS)
    said += _said(reader)
    found = [one for one in said if isinstance(one, dict)]
    errors = "\n".join(one for one in said if isinstance(one, str))
    return Done([one.exitcode for one in ranks], found[0] if found else None, errors)


def restarted(how: How, count: int, restarts: int) -> dict[str, Any]:
    """What a training under torchrun comes to, which starts lost processes again."""
    command = [str(TORCHRUN), "--standalone", f"--nproc-per-node={count}"]
    command += [f"--max-restarts={restarts}", "--monitor-interval=0.1", str(PROGRAM), str(how)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rank(how: How, rank: int, count: int, port: int, writer: Connection) -> None:
    from tests.integration.one_or_more import train

    if count > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        os.environ |= {name: str(value) for name, value in told.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        found = train(how)
    except BaseException:
        writer.send(traceback.format_exc())
        raise
    if found is not None:
        writer.send(found)


def _said(reader: Connection) -> list[Any]:
    said = []
    try:
        while reader.poll():
            said.append(reader.recv())
    except EOFError:
        pass
    return said
