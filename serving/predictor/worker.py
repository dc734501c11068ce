"""One thread that computes, and a bounded queue in front of it.

The engine answers one call at a time and uses every core while it does, so more threads would
only make each request slower. What matters is that the event loop never computes: probes, metrics
and refusals are answered while a batch runs.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rampart.errors import OverloadedError

T = TypeVar("T")
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    future: Future[Any]


class Queued(Protocol):
    """What computes for a server: this module's worker, or `rampart.inference.Batcher`."""

    @property
    def depth(self) -> int:
        """Calls that have not been begun."""

    @property
    def unfinished(self) -> int:
        """Calls that have not been answered."""

    @property
    def alive(self) -> bool:
        """Whether calls are still being answered."""

    def refuses(self) -> bool:
        """Whether a call that comes now is to be refused before anybody reads it."""


async def drained(workers: Sequence[Queued]) -> None:
    """Return once every call is answered."""
    while any(queued.unfinished for queued in workers):
        await asyncio.sleep(_POLL)


class Worker:
    """Runs calls one after the other in the order they came; `waiting` may queue at the most."""

    def __init__(self, waiting: int) -> None:
        self._jobs: queue.Queue[_Job] = queue.Queue(maxsize=waiting)
        # A daemon, so that a process told twice to stop need not wait for a batch.
        self._thread = threading.Thread(target=self._run, name="rampart-worker", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Calls that wait; the one that runs is not counted."""
        return self._jobs.qsize()

    @property
    def alive(self) -> bool:
        """Whether calls are still being run."""
        return self._thread.is_alive()

    def refuses(self) -> bool:
        """Whether as many calls as may wait are waiting already."""
        return self._jobs.full()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, once its turn has come.

        Raises:
            OverloadedError: as many calls as may wait are waiting already.
        """
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait(_Job(work, future))
        except queue.Full:
            raise OverloadedError(
                f"{self._jobs.maxsize} requests are waiting already.", "Try again in a second."
            ) from None
        return await asyncio.wrap_future(future)

    @property
    def unfinished(self) -> int:
        """Calls that run or wait."""
        return self._jobs.unfinished_tasks

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            # A caller that went away has cancelled its future: nobody would read the answer.
            if job.future.set_running_or_notify_cancel():
                try:
                    result = job.work()
                except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                    job.future.set_exception(error)
                else:
                    job.future.set_result(result)
            self._jobs.task_done()
