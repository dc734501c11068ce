"""One function over many items by several processes, results in the items' order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from types import TracebackType
from typing import Self, TypeVar

from rampart.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAITING = 2  # Items a process that are sent before the first result is taken.


class Workers:
    """Processes that start when they are first needed, and end with the block.

    One is this process. More start anew and do not inherit this one's threads.

    Args:
        processes: that work at once.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def in_order(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Results of a function that can be pickled; items are taken as results are.

        Args:
            function: of a module's own level.
            items: taken lazily: never more than a few for each process are held.

        Raises:
            DataError: a process was killed, most often for its memory.
        """
        if self.processes <= 1:
            yield from map(function, items)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processes, mp_context=get_context("spawn"), initializer=_end_with_parent
            )
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(function, item))
                if len(waiting) > self.processes * _WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise DataError(
                f"One of {self.processes} processes that work on the data was killed.",
                "Give the machine more memory, or use fewer processes.",
            ) from error


def _end_with_parent() -> None:
    """End this process when the one that started it is killed, which would leave it waiting."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
