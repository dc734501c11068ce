"""The process of one run: `python -m serving.control.runs.process FOLDER`.

It outlives whoever started it, writes what becomes known to its folder, and ends what it started
when it is told to (SIGTERM) or is killed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from rampart.errors import RampartError
from serving.control.runs.base import Kind, Order
from serving.control.runs.folder import RunFolder

STORAGE = "RAMPART_RUN_STORAGE"
"""Variable with the address of Optuna's storage, which may hold a password."""
_log = logging.getLogger("rampart.control")


class _StoppedError(BaseException):
    """Somebody asked the run or its study to stop; no Exception, which others could catch."""


def main(path: str) -> None:
    """Run what the folder's order says, unless another process has had it."""
    folder = RunFolder(Path(path))
    with folder.held() as first:
        if not first:
            return
        signal.signal(signal.SIGTERM, _raise)
        try:
            if folder.told_to_stop:
                raise _StoppedError  # noqa: TRY301 - as if told now
            order = folder.order()
            outputs = _WORK[order.kind](folder, order)
        except (_StoppedError, KeyboardInterrupt):
            folder.end("stopped")
        except RampartError as error:
            folder.end(
                "stopped" if folder.told_to_stop else "failed",
                problem=error.problem,
                remedy=error.remedy,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed of it
            _log.exception("The run failed")
            folder.end(
                "failed",
                problem=f"{type(error).__name__}: {error}",
                remedy=f"Its log is {folder.log}.",
            )
        else:
            folder.end("succeeded", outputs=outputs)


def _raise(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StoppedError


def _pipeline(folder: RunFolder, order: Order) -> dict[str, Any]:
    from pipelines.execution import Event, execute

    def tell(event: Event) -> None:
        folder.tell("step", name=event.step, state=event.kind, done=event.done, total=event.total)

    return execute(
        order.name,
        order.arguments,
        folder.path.parents[1],
        tell,
        on_line=folder.tell_line,
        wait=True,
        log=folder.path / "pipeline.log",
    )


def _study(folder: RunFolder, order: Order) -> dict[str, Any]:
    from rampart.settings import settings
    from serving.control.studies import work

    folder.tell_line(f"The study {order.name} is worked at.")
    left = work(
        order.arguments,
        os.environ[STORAGE],
        cache=folder.path.parents[1] / "tuning",
        tracking_uri=settings().tracking_uri or "",
        tell=folder.tell_line,
    )
    if left["state"] != "ended":
        raise _StoppedError
    return left


def _ensemble(folder: RunFolder, order: Order) -> dict[str, Any]:
    from rampart.settings import tracking_address
    from serving.control.ensembles import compose

    def tell(step: str, state: str) -> None:
        folder.tell("step", name=step, state=state)

    address = tracking_address("")
    return compose(order.arguments, address, folder.path / "bundle", tell)


_WORK: Mapping[Kind, Callable[[RunFolder, Order], dict[str, Any]]] = {
    "pipeline": _pipeline,
    "study": _study,
    "ensemble": _ensemble,
}

if __name__ == "__main__":
    main(sys.argv[1])
