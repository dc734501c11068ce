"""Start a local run, follow it, and leave nothing running or half-written when it is broken off."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.progress import heard
from pipelines.local import CACHED
from rampart.bundle.revision import code_digest
from rampart.errors import PipelineError

Kind = Literal["started", "progress", "cached", "done", "failed"]
_HOUSE = Path(__file__).resolve().parents[1]
_PACKAGES = tuple(_HOUSE / name for name in ("rampart", "components", "pipelines", "rollout"))
_NO_RESULT = (_HOUSE / "rampart" / "cli",)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARTED = re.compile(r"INFO - Executing task '([^']+)'")
_CACHED = re.compile(rf"^{CACHED}(\S+)")
_ENDED = re.compile(r"- Task '([^']+)' finished with status (SUCCESS|FAILURE)")
_OURS = re.compile(r"^\s*rampart\.errors\.(\w+): (.*)")
_OTHER = re.compile(r"^\s*([\w.]+(?:Error|Exception|Interrupt)): (.*)")
_LAST_LINES = 400
_SECONDS_TO_LEAVE = 10


@dataclass(frozen=True, slots=True)
class Event:
    """What became known of a step.

    Attributes:
        kind: what happened.
        step: the step's name in KFP, which ends in "-2" where the same step comes a second time.
        done: how far it is, where `kind` is progress.
        total: the whole, in the same unit; 0 where it is unknown.
    """

    kind: Kind
    step: str
    done: int = 0
    total: int = 0


def execute(
    name: str,
    arguments: Mapping[str, Any],
    root: Path,
    on_event: Callable[[Event], None] | None = None,
    *,
    on_line: Callable[[str], None] = lambda _: None,
    wait: bool = False,
    log: Path | None = None,
) -> dict[str, Any]:
    """Run a pipeline in a process of its own; what earlier runs in `root` have done is not redone.

    Args:
        name: one of `pipelines.catalogue.NAMES`.
        arguments: the pipeline's own.
        root: folder for outputs, cache and log; one run at a time uses it.
        on_event: told what becomes known of each step.
        on_line: told each line that is printed and is no event's alone, without its colours.
        wait: whether it waits where another run uses the folder, rather than fails.
        log: file of what is printed; `run.log` in the folder by default.

    Returns:
        The pipeline's outputs: values, and paths of artifacts.

    Raises:
        PipelineError: a step failed, with its reason; or another run uses the folder.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(
            f"The folder {root} cannot be made: {error.strerror}.", "Name another folder."
        ) from error
    log = log or root / "run.log"
    with _alone(root, wait=wait), tempfile.TemporaryDirectory(dir=root, prefix=".run-") as scratch:
        given, result = Path(scratch) / "arguments.json", root / "outputs.json"
        given.write_text(json.dumps(arguments), encoding="utf-8")
        result.unlink(missing_ok=True)
        call = [sys.executable, "-m", "pipelines.local", name, str(given), str(result)]
        reader = _Reader(on_event or (lambda _: None), on_line)
        with log.open("w", encoding="utf-8") as printed, _child(call) as process:
            if process.stdout is not None:
                for line in process.stdout:
                    printed.write(line)
                    reader.read(line)
        if process.returncode:
            raise reader.failure(process.returncode, log)
        outputs: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return outputs


class _Reader:
    """Makes events of what KFP prints."""

    def __init__(
        self, on_event: Callable[[Event], None], on_line: Callable[[str], None] = lambda _: None
    ) -> None:
        self.tell = on_event
        self.pass_on = on_line
        self.current = ""
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        # The first step that failed and its lines: KFP goes on with what does not stand on it.
        self.failed: tuple[str, list[str]] | None = None

    def read(self, line: str) -> None:
        plain = _COLOUR.sub("", line).rstrip()
        if progress := heard(plain):
            self.tell(Event("progress", self.current, *progress))
            return
        if plain:
            self.pass_on(plain)
        if found := _STARTED.search(plain):
            self._begin("started", found.group(1))
            self.last.clear()
        elif found := _CACHED.search(plain):
            self._begin("cached", found.group(1))
        elif found := _ENDED.search(plain):
            good = found.group(2) == "SUCCESS"
            if not good and self.failed is None:
                self.failed = self.current, list(self.last)
            self.tell(Event("done" if good else "failed", self.current))
        elif plain:
            self.last.append(plain)

    def _begin(self, kind: Kind, step: str) -> None:
        self.current = step
        self.tell(Event(kind, step))

    def failure(self, code: int, log: Path) -> PipelineError:
        """What went wrong, in the step's own words where it had any."""
        if code < 0:
            return PipelineError(
                f"The pipeline was ended by signal {-code}.",
                "Run it again: it goes on from what was done.",
            )
        step, lines = self.failed or (self.current or "before the first", list(self.last))
        reasons = [
            found for pattern in (_OURS, _OTHER) for found in map(pattern.match, lines) if found
        ]
        said = reasons[0].group(2) if reasons else "it does not say why"
        return PipelineError(f"The step {step} failed: {said}", f"The log is {log}.")


@contextmanager
def _alone(root: Path, *, wait: bool) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(root / ".lock", timeout=-1 if wait else 0):
            yield
    except Timeout:
        raise PipelineError(
            f"Another run uses the folder {root}.", "Wait for it, or name another folder."
        ) from None


@contextmanager
def _child(call: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The run's process and all that it starts, which end with this block."""
    code = code_digest(_PACKAGES, without=_NO_RESULT)
    environment = os.environ | {
        "PYTHONUNBUFFERED": "1",
        # KFP's cache is keyed by the image: results of other code are not taken for this code's.
        "RAMPART_PIPELINE_IMAGE": f"rampart-pipeline:local-{code}",
    }
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.PIPE,  # It ends when this end is closed, however this process ends.
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
        process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and its steps, which share its group: first politely, then for good."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + _SECONDS_TO_LEAVE
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
