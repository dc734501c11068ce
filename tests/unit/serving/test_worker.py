"""The worker: in order, bounded, and never on the event loop."""

import asyncio
import threading

import pytest

from rampart.errors import OverloadedError
from serving.predictor.worker import Worker, drained


def test_calls_run_in_order_on_one_other_thread():
    async def main():
        worker = Worker(waiting=8)
        return await asyncio.gather(*(worker.run(threading.get_ident) for _ in range(8)))

    threads = set(asyncio.run(main()))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_full_queue_refuses_and_what_was_taken_is_answered():
    async def main():
        worker, gate, running = Worker(waiting=2), threading.Event(), threading.Event()

        def hold():
            running.set()
            gate.wait()
            return "first"

        first = asyncio.create_task(worker.run(hold))
        await asyncio.to_thread(running.wait)
        others = [asyncio.create_task(worker.run(lambda: "other")) for _ in range(2)]
        await asyncio.sleep(0)
        assert worker.depth == 2
        with pytest.raises(OverloadedError, match="2 requests are waiting"):
            await worker.run(lambda: "too many")
        gate.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(main()) == ["first", "other", "other"]


def test_an_error_goes_to_its_caller_and_the_next_call_is_answered():
    async def main():
        worker = Worker(waiting=2)
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        with pytest.raises(SystemExit):
            await worker.run(lambda: exit(1))
        return await worker.run(lambda: 7)

    assert asyncio.run(main()) == 7


def test_a_caller_that_went_away_costs_nothing():
    async def main():
        worker, gate, ran = Worker(waiting=2), threading.Event(), []
        first = asyncio.create_task(worker.run(gate.wait))
        gone = asyncio.create_task(worker.run(lambda: ran.append("gone")))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0)
        gate.set()
        await first
        await drained([worker])
        return ran

    assert asyncio.run(main()) == []


def test_drained_waits_for_what_runs_and_what_waits():
    async def main():
        worker, gate = Worker(waiting=2), threading.Event()
        calls = [asyncio.create_task(worker.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0.01)
        emptied = asyncio.create_task(drained([worker]))
        await asyncio.sleep(0.1)
        assert not emptied.done()
        gate.set()
        await emptied
        assert all([await call for call in calls])

    asyncio.run(main())
