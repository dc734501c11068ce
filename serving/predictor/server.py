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
from typing import NoReturn

from rampart.errors import InputError, OverloadedError, outcome
from rampart.inference.batching import Batcher
from rampart.inference.cache import VerdictCache
from rampart.inference.engine import Engine
from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.dataplane import FixedRepository, PredictorDataPlane
from serving.predictor.model import ProtocolModel, RampartModel
from serving.predictor.rest import PredictorRESTServer
from serving.predictor.rpc import PredictorGRPCServer
from serving.predictor.sdk import ModelServer
from serving.predictor.settings import PredictorSettings, ServerSettings
from serving.predictor.worker import drained

_log = logging.getLogger("rampart.predictor")
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def serve(settings: PredictorSettings) -> None:
    """Serve a bundle until the process is told to stop.

    Prints one line when requests are answered. SIGTERM or SIGINT ends it: readiness goes false,
    requests already taken are answered, and it returns; a second one ends the process at once.

    Raises:
        BundleError: the bundle is broken.
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    configure_logging()
    engine = Engine.load(settings.bundle, threads=settings.threads, cascade=settings.cascade)
    engine.warm_up()
    cache = VerdictCache(settings.cache_bytes)
    batcher = Batcher(
        engine.begin,
        bundle=engine.manifest.id,
        waiting=settings.queue,
        tokens=settings.batch_tokens,
        cache=cache,
        on_batch=metrics.count_batch,
        on_call=metrics.INFERENCE_SECONDS.observe,
    )
    metrics.watch(batcher, cache)
    limits = Limits(settings.max_texts, settings.max_text_bytes, settings.top_k, settings.max_top_k)
    model = RampartModel(settings.model_name, engine, batcher, limits)
    model.ready = True
    ProtocolServer(settings, model).run()


class ProtocolServer(ModelServer):  # type: ignore[misc]
    """KServe's model server around one model.

    Its `start` is not used: it hands its signal handler to uvicorn, which replaces it, so that
    gRPC is only stopped once REST has ended; and it cannot be told a host.
    """

    def __init__(self, settings: ServerSettings, model: ProtocolModel) -> None:
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            enable_latency_logging=False,
            ssl_certfile=None,
            ssl_keyfile=None,
        )
        self.settings = settings
        self.model = model
        self.dataplane = PredictorDataPlane(self.registered_models)
        self.repository = FixedRepository(self.registered_models)
        self.rest = PredictorRESTServer(settings, self.dataplane, self.repository)
        self.rpc = PredictorGRPCServer(settings, self.dataplane, self.repository)
        self.register_model(model)

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
        listening = _listen(self.settings.host, self.settings.http_port)
        grpc_port = await self.rpc.start()
        stop = _stop_signal()
        self.rest.create_application()
        rest = asyncio.create_task(self.rest.server.serve(sockets=[listening]))
        while not self.rest.server.started and not rest.done():
            await asyncio.sleep(0.01)
        self._announce(listening.getsockname()[1], grpc_port)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({rest, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self._leave(rest)

    async def _leave(self, rest: asyncio.Task[None]) -> None:
        """Answer what was taken while the listeners still tell probes that no more is."""
        grace = self.settings.grace
        self.model.ready = False
        answered = True
        try:
            async with asyncio.timeout(grace):
                await drained(self.model.worker)
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

    def _announce(self, http_port: int, grpc_port: int) -> None:
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what a user can open
        host = shown.get(self.settings.host, self.settings.host)
        sys.stdout.write(
            f"Serving {self.settings.model_name} at http://{host}:{http_port} (REST) "
            f"and {host}:{grpc_port} (gRPC)\n"
        )
        sys.stdout.flush()


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


def _listen(host: str, port: int) -> socket.socket:
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
