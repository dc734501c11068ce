"""How quick each of several processes is that train one network together, free of torch to read."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel

# Slower than the others' middle by so much, a process holds them up.
_STRAGGLES = 0.2


class Rank(BaseModel):
    """How quick one process was.

    Attributes:
        rank: which.
        texts: that it computed.
        texts_a_second: while it computed.
        waited: share of its time that it waited for the others and for the network.
    """

    rank: int
    texts: int
    texts_a_second: float
    waited: float


class Pace:
    """Times a process's steps: until its own gradients are there, and until the averages are."""

    def __init__(self) -> None:
        self.texts = 0
        self._computed = 0.0
        self._waited = 0.0
        self._began = 0.0
        self._ready = 0.0

    def begin(self) -> None:
        """A step begins."""
        self._began = time.perf_counter()
        self._ready = 0.0

    def ready(self) -> None:
        """A part of the gradient is there; the last one counts."""
        self._ready = time.perf_counter()

    def end(self) -> None:
        """The averaged gradient is there."""
        now = time.perf_counter()
        ready = self._ready or now
        self._computed += ready - self._began
        self._waited += now - ready

    def of_all(self, count: int, device: Any) -> list[Rank]:
        """What each of `count` processes has done so far."""
        import torch
        import torch.distributed as dist

        own = torch.tensor(
            [float(self.texts), self._computed, self._waited], dtype=torch.float64, device=device
        )
        every = [own]
        if count > 1:
            every = [torch.zeros_like(own) for _ in range(count)]
            dist.all_gather(every, own)
        rows = [[float(value) for value in one] for one in every]
        return [
            Rank(
                rank=rank,
                texts=int(texts),
                texts_a_second=round(texts / computed, 2) if computed else 0.0,
                waited=round(waited / (computed + waited), 4) if computed else 0.0,
            )
            for rank, (texts, computed, waited) in enumerate(rows)
        ]


def stragglers(ranks: list[Rank]) -> list[int]:
    """The processes that hold the others up: a fifth slower than the middle one."""
    if len(ranks) < 2:
        return []
    speeds = sorted(one.texts_a_second for one in ranks)
    middle = (speeds[(len(speeds) - 1) // 2] + speeds[len(speeds) // 2]) / 2
    return [one.rank for one in ranks if one.texts_a_second < (1 - _STRAGGLES) * middle]
