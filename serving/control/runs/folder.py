"""A run's folder: all that is known of it, written by its own process and read by anybody.

Whether the process lives is told by a lock on a file here, which the kernel lets go when it dies,
however it dies. Its number stands in the same file, and is believed only while the lock is held:
so a number that another process has by now is never taken for the run's.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.control.runs.base import Happening, Order, Run, State, Step, no_place

_MOST_READ = 262_144
_LONGEST_LINE = 4_000
_KILLED = "Its process was killed, or the machine went down."


class RunFolder:
    """One run's order, process, history and result."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "run.log"
        self._process = path / "process"
        self._events = path / "events.jsonl"
        self._result = path / "result.json"
        self._stop = path / "stop"

    def order(self) -> Order:
        """What was asked."""
        return Order.model_validate_json((self.path / "order.json").read_bytes())

    @property
    def begun(self) -> bool:
        """Whether a process has ever had this run."""
        return self._process.exists() and self._process.stat().st_size > 0

    @property
    def has_result(self) -> bool:
        """Whether its process has come to its end."""
        return self._result.exists()

    @property
    def told_to_stop(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._stop.exists()

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Be the run's process; false where one has been that already."""
        file = os.open(self._process, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            first = _locked(file) and os.fstat(file).st_size == 0
            if first:
                os.write(file, str(os.getpid()).encode())
            yield first
        finally:
            os.close(file)

    def alive(self) -> bool:
        """Whether the run's process lives."""
        try:
            file = os.open(self._process, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two who look do not take each other for the run.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def stop(self) -> None:
        """Ask the run to stop, before it begins or while it goes on."""
        self._stop.touch()
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            process = os.pidfd_open(int(self._process.read_text()))
            try:
                # Whoever holds the lock after the number was opened is the one that wrote it.
                if self.alive():
                    signal.pidfd_send_signal(process, signal.SIGTERM)
            finally:
                os.close(process)

    def tell(self, kind: str, **data: Any) -> None:
        """Write down what became known, whole or not at all."""
        line = json.dumps({"kind": kind, "data": data}) + "\n"
        with self._events.open("ab", buffering=0) as file:
            file.write(line.encode())

    def tell_line(self, line: str) -> None:
        """Write down a line of the log."""
        self.tell("log", line=line[:_LONGEST_LINE])

    def end(self, state: State, **said: Any) -> None:
        """Write the result, whole or not at all."""
        steps = [step.model_dump() for step in self._steps()]
        result = {"state": state, "ended": datetime.now(UTC).isoformat(), "steps": steps, **said}
        part = self.path / "result.part"
        part.write_text(json.dumps(result, default=str), encoding="utf-8")
        part.replace(self._result)

    def run(self) -> Run:
        """The run as it stands."""
        order = self.order()
        # In this order: a process writes its result before it ends.
        alive = self.alive()
        result = self._read_result()
        if result is None:
            result = {"state": self._state(alive=alive), "steps": self._steps()}
            if result["state"] == "failed":
                result |= {
                    "problem": _KILLED,
                    "remedy": "Start it again: it goes on from what was done.",
                }
        return Run(
            **order.model_dump(include={"id", "kind", "name", "arguments", "caller", "created"}),
            **result,
        )

    def happenings(self, after: str) -> list[Happening]:
        """What became known after a place, which is an offset in the file of events.

        Raises:
            InputError: there is no such place.
        """
        if not after:
            start = 0
        elif after.isascii() and after.isdecimal() and len(after) <= 15:
            start = int(after)
        else:
            raise no_place(after)
        try:
            with self._events.open("rb") as file:
                if start:
                    file.seek(start - 1)
                    if file.read(1) != b"\n":
                        raise no_place(after)
                some = file.read(_MOST_READ)
        except FileNotFoundError:
            if start:
                raise no_place(after) from None
            return []
        found = []
        # What is not whole yet comes next time.
        for line in some[: some.rfind(b"\n") + 1].splitlines(keepends=True):
            start += len(line)
            found.append(Happening(id=str(start), **json.loads(line)))
        return found

    def _read_result(self) -> dict[str, Any] | None:
        try:
            result: dict[str, Any] = json.loads(self._result.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            return {
                "state": "failed",
                "problem": f"Its result cannot be read: {error}.",
                "remedy": f"Look at {self._result}.",
            }
        return result

    def _state(self, *, alive: bool) -> State:
        if self.told_to_stop:
            return "stopping" if alive else "stopped"
        if not alive:
            return "failed" if self.begun else "pending"
        return "running" if self._events.exists() else "pending"

    def _steps(self) -> list[Step]:
        steps: dict[str, Mapping[str, Any]] = {}
        if not self._events.exists():
            return []
        with self._events.open("rb") as file:
            for line in file:
                if line.startswith(b'{"kind": "step"') and line.endswith(b"\n"):
                    data = json.loads(line)["data"]
                    steps[data["name"]] = data
        return [Step(**data) for data in steps.values()]


def _locked(file: int) -> bool:
    """Take the lock; false where a process has it that wrote its number."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if os.fstat(file).st_size:
                return False
            # Somebody looks whether it is held, or has not come to write its number.
            time.sleep(0.01)
        else:
            return True
