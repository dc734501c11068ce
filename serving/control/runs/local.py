"""Runs on this machine: each a process of its own that outlives whoever started it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from rampart.errors import PipelineError, UnknownModelError
from serving.control.refusal import ConflictError
from serving.control.runs.base import ENDED, Happening, Order, Run
from serving.control.runs.folder import RunFolder

_OURS = re.compile(r"^r[0-9a-f]{24}$")
_ORDER = "order.json"
_SECRETS = "RAMPART_CONTROL_"
_log = logging.getLogger("rampart.control")


class LocalRuns:
    """Runs whose folders lie side by side, and which share the cache of their root.

    Pipelines wait for each other, because they share it. Nothing is known here but what the folders
    hold: a run that was started by a process that is gone is found, followed and stopped as any.

    Args:
        root: folder of `rampart pipeline run`; its folder `runs` is the API's.
        environment: variables of each run's process: addresses, which may hold passwords and so are
            no arguments that callers are shown.

    Raises:
        PipelineError: the folder cannot be made.
    """

    patience = 0.3

    def __init__(self, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self.root = root.absolute()
        self._environment = dict(environment or {})
        self._folder = self.root / "runs"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(
                f"The folder {self._folder} cannot be made: {error.strerror}.",
                "Set RAMPART_CONTROL_ROOT to another.",
            ) from error

    @staticmethod
    def owns(run_id: str) -> bool:
        """Whether an id is of the form that runs have here."""
        return _OURS.match(run_id) is not None

    def known(self, order: Order) -> Run | None:
        """The run that the same order started before, if one did.

        Raises:
            ConflictError: the id belongs to another order.
        """
        folder = RunFolder(self._folder / order.id)
        return self.start(order) if (folder.path / _ORDER).exists() else None

    def adopt(self) -> None:
        """Start what was taken by a process that died before it came to start it."""
        for folder in self._folders():
            if folder.run().state == "pending" and not folder.alive():
                self._begin(folder)

    def start(self, order: Order) -> Run:
        """Start a run, or find the one that the same order started before.

        Raises:
            ConflictError: the id belongs to another order.
            PipelineError: its folder cannot be written.
        """
        folder = RunFolder(self._folder / order.id)
        try:
            self._take(folder, order)
            if folder.order().digest != order.digest:
                raise ConflictError(
                    f"The Idempotency-Key was used for another request, which started {order.id}.",
                    "Send the same request with it, or another key.",
                )
            if not folder.begun and not folder.has_result:
                self._begin(folder)
        except OSError as error:
            raise PipelineError(
                f"The run in {folder.path} cannot be started: {error.strerror}.",
                "Make room, or set RAMPART_CONTROL_ROOT to another folder.",
            ) from error
        return folder.run()

    def listed(self) -> list[Run]:
        """All runs, the newest first."""
        runs = [folder.run() for folder in self._folders()]
        return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)

    def going(self) -> list[Run]:
        """The runs that have not ended."""
        runs = [folder.run() for folder in self._folders() if not folder.has_result]
        return [run for run in runs if run.state not in ENDED]

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            UnknownModelError: there is none.
        """
        return self._find(run_id).run()

    def stop(self, run_id: str) -> Run:
        """Ask a run to stop; one that has ended stays as it is.

        Raises:
            UnknownModelError: there is none.
        """
        folder = self._find(run_id)
        if folder.run().state not in ENDED:
            folder.stop()
        return folder.run()

    def happenings(self, run_id: str, after: str) -> list[Happening]:
        """What became known after a place in the history.

        Raises:
            UnknownModelError: there is no such run.
            InputError: there is no such place.
        """
        return self._find(run_id).happenings(after)

    def _take(self, folder: RunFolder, order: Order) -> None:
        """Make the folder with its order in it, at once, unless it is there already."""
        if folder.path.exists():
            return
        draft = Path(mkdtemp(dir=self._folder, prefix="."))
        try:
            (draft / _ORDER).write_text(order.model_dump_json(), encoding="utf-8")
            draft.rename(folder.path)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            # Another was quicker: no folder takes the place of one that holds something.
            if not folder.path.exists():
                raise

    def _begin(self, folder: RunFolder) -> None:
        """Start the run's process; of several that are started the first one is it."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)
        } | self._environment
        call = [sys.executable, "-m", "serving.control.runs.process", str(folder.path)]
        with folder.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                call,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        threading.Thread(target=_await, args=(process, folder), daemon=True).start()

    def _folders(self) -> list[RunFolder]:
        paths = (path for path in self._folder.iterdir() if _OURS.match(path.name))
        return [folder for folder in map(RunFolder, paths) if _whole(folder)]

    def _find(self, run_id: str) -> RunFolder:
        folder = RunFolder(self._folder / run_id)
        if not self.owns(run_id) or not _whole(folder):
            raise UnknownModelError(f"There is no run {run_id[:80]!r}.", "GET /v1/runs lists them.")
        return folder


def _await(process: subprocess.Popen[bytes], folder: RunFolder) -> None:
    """Wait for a run's process; one that ended before it had the run has failed."""
    code = process.wait()
    # Its folder may have been removed meanwhile.
    with suppress(FileNotFoundError):
        if not folder.begun and not folder.has_result:
            folder.end(
                "failed",
                problem=f"Its process ended with {code} before it began.",
                remedy=f"Its log is {folder.log}.",
            )


def _whole(folder: RunFolder) -> bool:
    """Whether a folder holds a run; one that was damaged is no reason not to show the others."""
    try:
        folder.order()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        _log.warning("The run in %s cannot be read: %s", folder.path, error)
        return False
    return True
