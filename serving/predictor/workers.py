"""Several processes behind one address: as many interpreters as there are cores to keep busy.

The first process accepts connections and hands them out in turn, so that each worker has its share
of them, which a shared socket does not give; it never reads a request. Each worker has the whole
server in it. What they cannot share without cost is their own: the verdict cache, and the batches.
The weights they do share, where graphs are memory-mapped (`rampart.models.prepared`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from rampart.errors import InputError, OverloadedError
from rampart.inference.cache import VerdictCache
from serving.predictor import metrics
from serving.predictor.repository import Bundles
from serving.predictor.server import PredictorServer, announce, configure_logging, listen, prepared
from serving.predictor.settings import PredictorSettings

_log = logging.getLogger("rampart.predictor")
_READY, _CONNECTION = b"r", b"c"
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_REFRESH_SECONDS = 1.0
_OVERLOADED = 4


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process, and the socket that connections are sent through."""

    process: subprocess.Popen[bytes]
    pipe: socket.socket


def serve_with_workers(settings: PredictorSettings) -> None:
    """As `serve`, with `settings.workers` processes; signals are passed on to each.

    Raises:
        BundleError: there is no bundle.
        InputError: a port cannot be listened on, or a worker did not start; it says why itself.
        OverloadedError: requests were not answered in the grace given.
    """
    configure_logging()
    models = list(Bundles(settings, VerdictCache(0)).places())
    with ExitStack() as stack:
        listening = stack.enter_context(listen(settings.host, settings.http_port))
        reserved = stack.enter_context(_reserved(settings.host, settings.grpc_port))
        grpc_port = reserved.getsockname()[1]
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rampart-metrics-"))
        told = settings.model_copy(update={"grpc_port": grpc_port})
        workers = [stack.enter_context(_started(told, folder)) for _ in range(settings.workers)]
        codes = asyncio.run(_run(settings, models, listening, grpc_port, workers))
    if _OVERLOADED in codes:
        raise OverloadedError(
            f"Requests were left unanswered after {settings.grace:g} s of grace.",
            "Give a longer one, or allow fewer texts in a request.",
        )
    if any(codes):
        raise InputError(f"A worker ended with code {max(codes)}.", "See above for its reason.")


@contextmanager
def _started(settings: PredictorSettings, folder: str) -> Iterator[_Worker]:
    """A worker that is ended, if it still runs, when the block is left."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        with its:
            process = subprocess.Popen(  # noqa: S603 - our own module, and no shell
                [sys.executable, "-m", __name__, str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.PIPE,
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder},
                # Ctrl-C in a terminal reaches the whole group; it is passed on once.
                start_new_session=True,
            )
        try:
            assert process.stdin is not None  # noqa: S101 - it was asked for
            # A worker that has ended by now says why itself.
            with suppress(BrokenPipeError), process.stdin as told:
                told.write(settings.model_dump_json().encode())
            yield _Worker(process, ours)
        finally:
            process.kill()
            process.wait()


async def _run(
    settings: PredictorSettings,
    models: Sequence[str],
    listening: socket.socket,
    grpc_port: int,
    workers: Sequence[_Worker],
) -> list[int]:
    """Hand out connections till every worker has ended; their exit codes."""
    loop = asyncio.get_running_loop()
    ended: list[asyncio.Task[Any]] = [
        asyncio.create_task(asyncio.to_thread(one.process.wait)) for one in workers
    ]
    stopping = False

    def passed_on(number: int) -> None:
        nonlocal stopping
        stopping = stopping or number != signal.SIGHUP
        for one in workers:
            with suppress(ProcessLookupError):
                one.process.send_signal(number)

    for number in _PASSED_ON:
        loop.add_signal_handler(number, passed_on, number)
    ready = asyncio.create_task(_all_ready(workers))
    await asyncio.wait({ready, *ended}, return_when=asyncio.FIRST_COMPLETED)
    if ready.done() and ready.result():
        _distribute(loop, listening, workers)
        announce(settings, models, listening.getsockname()[1], grpc_port)
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    if not stopping:
        # One that was not told to has ended: half a server is no server.
        passed_on(signal.SIGTERM)
    codes = list(await asyncio.gather(*ended))
    ready.cancel()
    loop.remove_reader(listening)
    return codes


async def _all_ready(workers: Sequence[_Worker]) -> bool:
    """Whether each has said so; a worker that ends before says nothing."""
    loop = asyncio.get_running_loop()
    for one in workers:
        one.pipe.settimeout(0)
        if await loop.sock_recv(one.pipe, 1) != _READY:
            return False
    return True


def _distribute(
    loop: asyncio.AbstractEventLoop, listening: socket.socket, workers: Sequence[_Worker]
) -> None:
    """Accept connections and give them to the workers in turn."""
    turns = cycle(workers)
    listening.listen(1024)
    listening.settimeout(0)
    for one in workers:
        one.pipe.settimeout(None)

    def accept() -> None:
        with suppress(BlockingIOError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    # One that has ended takes none; the others do till they have too.
                    for worker, _ in zip(turns, workers, strict=False):
                        if worker.process.poll() is None and _sent(worker, connection):
                            break

    loop.add_reader(listening, accept)


def _sent(worker: _Worker, connection: socket.socket) -> bool:
    try:
        socket.send_fds(worker.pipe, [_CONNECTION], [connection.fileno()])
    except OSError:
        return False
    return True


def _reserved(host: str, port: int) -> socket.socket:
    """A socket that holds gRPC's port, so that workers can share it and nobody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without sharing: whoever shares it already is somebody else.
            probe.bind((host, port))
            port = probe.getsockname()[1]
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        raise InputError(
            f"gRPC cannot listen on {host}:{port}: {error.strerror}.",
            "Choose another port or stop what listens there.",
        ) from None
    return held


class WorkerServer(PredictorServer):
    """The server in one worker: connections come through a pipe instead of a listening socket."""

    def __init__(self, settings: PredictorSettings, pipe: socket.socket) -> None:
        super().__init__(settings, *prepared(settings), shared_port=True)
        self.pipe = pipe
        self._taking: set[asyncio.Task[None]] = set()

    def sockets(self) -> list[socket.socket]:
        """None: connections are handed to it."""
        return []

    def announce(self, http_port: int, grpc_port: int) -> None:  # noqa: ARG002 - the parent's
        """Say that connections may come."""
        self.pipe.sendall(_READY)
        self.pipe.settimeout(0)
        asyncio.get_running_loop().add_reader(self.pipe, self._take)

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Keep in the common folder what other workers' /metrics cannot ask this process."""
        return [*super().background(), _refreshed()]

    def _take(self) -> None:
        """Take the connections that came through the pipe."""
        loop = asyncio.get_running_loop()
        try:
            content, descriptors, _, _ = socket.recv_fds(self.pipe, 64, 64)
        except BlockingIOError:
            return
        if not content:
            # The parent is gone; nothing will ever come again.
            loop.remove_reader(self.pipe)
            os.kill(os.getpid(), signal.SIGTERM)
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.settimeout(0)
            task = loop.create_task(self.rest.take(connection))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)


async def _refreshed() -> None:
    while True:
        metrics.refresh()
        await asyncio.sleep(_REFRESH_SECONDS)


def main(pipe: int) -> None:
    """One worker: settings on standard input, connections from the pipe."""
    settings = PredictorSettings.model_validate_json(sys.stdin.buffer.read())
    WorkerServer(settings, socket.socket(fileno=pipe)).run()


if __name__ == "__main__":
    from serving.predictor.entry import ended

    sys.exit(ended(lambda: main(int(sys.argv[1]))))
