"""While nothing is answered nothing is asked, but for a probe now and then."""

from __future__ import annotations

from rampart.streaming.breaker import Breaker, State


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_probes_less_and_less_often_until_a_probe_is_answered() -> None:
    clock = Clock()
    breaker = Breaker(first=1, most=4, clock=clock)
    assert breaker.closed
    assert not breaker.probe()
    breaker.trip()
    waits = []
    for _ in range(4):
        begun = clock.now
        while not breaker.probe():
            clock.now += 0.5
        waits.append(clock.now - begun)
        assert breaker.state is State.HALF_OPEN
        assert not breaker.probe(), "one at a time"
        breaker.trip()
    assert waits == [1, 2, 4, 4]
    clock.now += 4
    assert breaker.probe()
    breaker.mend()
    assert breaker.closed
    assert breaker.opened == 1
    breaker.trip()
    clock.now += 1
    assert breaker.probe(), "the next outage begins with the short wait"
    assert breaker.opened == 2


def test_what_fails_while_it_is_open_changes_nothing() -> None:
    clock = Clock()
    breaker = Breaker(first=1, clock=clock)
    breaker.trip()
    breaker.trip()
    clock.now = 1
    assert breaker.probe()
