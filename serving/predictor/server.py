"""The predictor's process: load, listen, answer, and leave in good order."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn

from rampart.errors import InputError, OverloadedError, outcome
from rampart.inference.cache import VerdictCache
from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.dataplane import FixedRepository, PredictorDataPlane
from serving.predictor.model import ProtocolModel
from serving.predictor.repository import BundleRepository, Bundles, depth
from serving.predictor.rest import PredictorRESTServer
from serving.predictor.rpc import PredictorGRPCServer
from serving.predictor.sdk import ModelRepository, ModelRepositoryExtension, ModelServer
from serving.predictor.settings import PredictorSettings, ServerSettings
from serving.predictor.worker import drained

_log = logging.getLogger("rampart.predictor")
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(settings: PredictorSettings) -> None:
    """Serve bundles until the process is told to stop.

    Prints one line when requests are answered. SIGTERM or SIGINT ends it: readiness goes false,
    requests already taken are answered, and it returns; a second one ends the process at once.
    SIGHUP makes it look for new bundles.

    Raises:
        BundleError: a bundle is broken.
        SourceError: a bundle cannot be fetched.
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    if settings.workers > 1:
        from serving.predictor.workers import serve_with_workers

        serve_with_workers(settings)
    else:
        PredictorServer(settings, *prepared(settings)).run()


def prepared(settings: PredictorSettings) -> tuple[ModelRepository, BundleRepository]:
    """Every bundle loaded, and ready to answer.

    Raises:
        BundleError: a bundle is broken.
        SourceError: a bundle cannot be fetched.
    """
    metrics.started("imports")
    configure_logging()
    cache = VerdictCache(settings.cache_bytes)
    limits = Limits(settings.max_texts, settings.max_text_bytes, settings.top_k, settings.max_top_k)
    registry = ModelRepository()
    repository = BundleRepository(
        registry, Bundles(settings, cache), limits, control=settings.model_control
    )
    repository.start()
    metrics.watch(lambda: depth(repository.models), cache)
    metrics.started("bundles")
    return registry, repository


class ProtocolServer(ModelServer):  # type: ignore[misc]
    """KServe's model server around the models of a registry.

    Its `start` is not used: it hands its signal handler to uvicorn, which replaces it, so that
    gRPC is only stopped once REST has ended; and it cannot be told a host.
    """

    def __init__(
        self,
        settings: ServerSettings,
        registry: ModelRepository,
        repository: ModelRepositoryExtension | None = None,
        *,
        shared_port: bool = False,
    ) -> None:
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            enable_latency_logging=False,
            ssl_certfile=None,
            ssl_keyfile=None,
            registered_models=registry,
        )
        self.settings = settings
        self.dataplane = PredictorDataPlane(registry)
        self.repository = repository or FixedRepository(registry)
        self.rest = PredictorRESTServer(settings, self.dataplane, self.repository)
        self.rpc = PredictorGRPCServer(
            settings, self.dataplane, self.repository, shared=shared_port
        )

    @property
    def models(self) -> list[ProtocolModel]:
        """Those that are loaded."""
        return list(self.registered_models.get_models().values())

    def run(self) -> None:
        """Answer until told to stop."""
        try:
            asyncio.run(self._serve())
        except OverloadedError as error:
            # The worker still computes, and an interpreter that is taken down under a thread in
            # native code may abort: the process ends with its own code before that.
            atexit.register(_leave_at_once, outcome(error).exit_code)
            raise

    async def _serve(self) -> None:
        sockets = self.sockets()
        grpc_port = await self.rpc.start()
        stop = _stop_signal()
        background = [asyncio.create_task(one) for one in self.background()]
        self.rest.create_application()
        rest = asyncio.create_task(self.rest.server.serve(sockets=sockets))
        while not self.rest.server.started and not rest.done():
            await asyncio.sleep(0.01)
        metrics.started("listening")
        self.announce(sockets[0].getsockname()[1] if sockets else 0, grpc_port)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({rest, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, *background):
            task.cancel()
        await self._leave(rest)

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs beside the listeners till the server is told to stop."""
        return ()

    async def _leave(self, rest: asyncio.Task[None]) -> None:
        """Answer what was taken while the listeners still tell probes that no more is."""
        grace = self.settings.grace
        for model in self.models:
            model.ready = False
        workers = [worker for model in self.models for worker in model.workers()]
        answered = True
        try:
            async with asyncio.timeout(grace):
                await drained(workers)
        except TimeoutError:
            answered = False
        self.rest.server.should_exit = True
        self.rest.server.force_exit = not answered
        if not answered:
            # Else uvicorn answers what it cancels with a 500 that says nothing to a client.
            for connection in list(self.rest.server.server_state.connections):
                connection.transport.abort()
        await asyncio.gather(rest, self.rpc.stop(grace if answered else 0))
        if not answered:
            raise OverloadedError(
                f"Requests were left unanswered after {grace:g} s of grace.",
                "Give a longer one, or allow fewer texts in a request.",
            )

    def sockets(self) -> list[socket.socket]:
        """What REST listens on.

        Raises:
            InputError: the port cannot be listened on.
        """
        return [listen(self.settings.host, self.settings.http_port)]

    def announce(self, http_port: int, grpc_port: int) -> None:
        """Say that requests are answered."""
        announce(self.settings, [model.name for model in self.models], http_port, grpc_port)


def serve_model(settings: ServerSettings, model: ProtocolModel) -> None:
    """Serve one model that stays the same until the process is told to stop.

    Raises:
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    model.ready = True
    registry = ModelRepository()
    registry.update(model)
    ProtocolServer(settings, registry).run()


class PredictorServer(ProtocolServer):
    """The server of bundles, which may be replaced while it runs."""

    def __init__(
        self,
        settings: PredictorSettings,
        registry: ModelRepository,
        repository: BundleRepository,
        *,
        shared_port: bool = False,
    ) -> None:
        super().__init__(settings, registry, repository, shared_port=shared_port)
        self.bundles = repository
        self.reload_seconds = settings.reload_seconds

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Look for new bundles: when told to by SIGHUP, and every so often where that is wanted."""
        loop = asyncio.get_running_loop()
        looks: set[asyncio.Task[None]] = set()

        def look() -> None:
            task = loop.create_task(self.bundles.renew_all())
            looks.add(task)
            task.add_done_callback(looks.discard)

        loop.add_signal_handler(signal.SIGHUP, look)
        return [self.bundles.watch(self.reload_seconds)] if self.reload_seconds else []


def configure_logging() -> None:
    """Say warnings and errors on standard error, and no line for each request."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # A handler of its own keeps KServe from installing those that log every request.
    kserve = logging.getLogger("kserve")
    if not kserve.handlers:
        kserve.addHandler(logging.NullHandler())
    for name in ("kserve", "kserve.trace", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # KServe's V1 route answers with a class that FastAPI is about to drop; the SDK is pinned.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def announce(
    settings: ServerSettings, models: Sequence[str], http_port: int, grpc_port: int
) -> None:
    """Print the one line that says where requests are answered."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a user can open
    host = shown.get(settings.host, settings.host)
    sys.stdout.write(
        f"Serving {', '.join(models)} at http://{host}:{http_port} (REST) "
        f"and {host}:{grpc_port} (gRPC)\n"
    )
    sys.stdout.flush()


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to REST's address.

    Raises:
        InputError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, for asyncio switches Nagle's algorithm off on no other: an answer in
    # two parts would wait 40 ms for the client to acknowledge the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise InputError(
            f"REST cannot listen on {host}:{port}: {error.strerror}.",
            "Choose another port or stop what listens there.",
        ) from None
    return listening


def _stop_signal() -> asyncio.Event:
    """An event that the first signal sets; the second ends the process where it stands."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: int) -> None:
        if stop.is_set():
            _log.warning("Told to stop again: leaving at once.")
            _leave_at_once(128 + number)
        stop.set()

    for number in _STOPPING:
        loop.add_signal_handler(number, told, number)
    return stop


def _leave_at_once(code: int) -> NoReturn:
    """End the process where it stands: sys.exit would wait for whatever still runs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
