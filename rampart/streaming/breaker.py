"""A circuit breaker: while nothing is answered nothing is asked, but for a probe now and then."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from time import monotonic


class State(StrEnum):
    """Closed: calls go through. Open: none does. Half-open: one does, to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Opens at the first outage, and waits twice as long after each probe that fails."""

    def __init__(
        self, *, first: float = 0.5, most: float = 30.0, clock: Callable[[], float] = monotonic
    ) -> None:
        """Closed.

        Args:
            first: seconds to the first probe.
            most: seconds between two.
            clock: of seconds.
        """
        self.state = State.CLOSED
        self.opened = 0
        self._first = first
        self._most = most
        self._clock = clock
        self._wait = first
        self._until = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls go through."""
        return self.state is State.CLOSED

    def trip(self) -> None:
        """Nothing was answered."""
        if self.state is State.OPEN:
            return
        self._wait = self._first if self.state is State.CLOSED else min(self._wait * 2, self._most)
        self.opened += self.state is State.CLOSED
        self.state = State.OPEN
        self._until = self._clock() + self._wait

    def probe(self) -> bool:
        """Whether a probe is due; then whoever asks sends it, and says what came of it."""
        if self.state is State.OPEN and self._clock() >= self._until:
            self.state = State.HALF_OPEN
            return True
        return False

    def mend(self) -> None:
        """The probe was answered."""
        self.state = State.CLOSED
