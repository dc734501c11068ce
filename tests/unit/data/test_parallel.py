"""Items go through several processes and come out in order; a process that dies is told of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from rampart.data.parallel import Workers
from rampart.errors import DataError, SourceError


def square(number: int) -> int:
    return number * number


def process(number: int) -> int:
    return os.getpid()


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def complain(number: int) -> None:
    raise SourceError(f"Number {number} is bad.", "Give another.")


@pytest.fixture(scope="module", params=[1, 2])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    with Workers(request.param) as started:
        yield started


def test_results_come_in_the_order_of_items(workers: Workers) -> None:
    assert list(workers.in_order(square, range(30))) == [n * n for n in range(30)]


def test_one_process_is_this_one_and_more_are_others(workers: Workers) -> None:
    others = set(workers.in_order(process, range(3)))
    assert (others == {os.getpid()}) == (workers.processes == 1)
    assert (os.getpid() in others) == (workers.processes == 1)


def test_no_more_items_are_taken_than_a_few_for_each_process(workers: Workers) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1_000):
            taken += 1
            yield number

    assert next(workers.in_order(square, items())) == 0
    assert taken <= 3 * workers.processes


def test_an_error_of_ours_comes_through_whole(workers: Workers) -> None:
    with pytest.raises(SourceError, match="Number 0 is bad") as caught:
        list(workers.in_order(complain, range(3)))
    assert caught.value.remedy == "Give another."


def test_a_process_that_is_killed_is_told_of_with_what_to_do() -> None:
    told = r"One of 2 processes .* was killed.*fewer processes"
    with Workers(2) as workers, pytest.raises(DataError, match=told):
        list(workers.in_order(die, range(3)))


def test_processes_end_with_the_one_that_is_killed() -> None:
    code = (
        "import os, sys; from rampart.data.parallel import Workers;"
        "found = Workers(2).in_order(os.getpgid, [0] * 99);"
        "print(next(found), flush=True); sys.stdin.read()"
    )
    # A group of its own, which has a member for as long as one of them lives.
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert group == parent.pid
        parent.kill()
    for _ in range(600):
        if not _lives(group):
            break
        time.sleep(0.05)
    assert not _lives(group)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
