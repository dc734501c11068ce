"""The scorer's process: load, read or listen, answer, and leave in good order."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from rampart.bundle.remote import is_address
from rampart.errors import InputError
from rampart.streaming.connection import require
from rampart.streaming.figures import Figures
from rampart.streaming.processor import Processor
from rampart.streaming.scoring import EngineScorer, Scorer
from serving.stream.app import Sink, application
from serving.stream.settings import StreamSettings

_STUCK_SECONDS = 120.0
_DEAD = "what computes has ended"
_log = logging.getLogger("rampart.stream")


def serve(settings: StreamSettings) -> None:
    """Score what comes until the process is told to stop.

    Prints one line when it begins. SIGTERM or SIGINT ends it: what is under way is answered,
    written and marked as read, and it leaves the group; a second one ends the process at once.

    Raises:
        BundleError: the bundle is broken.
        SourceError: it cannot be fetched.
        InputError: the port cannot be listened on.
        StreamError: the broker does not answer or refuses.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stopped = stop_signal()
    if settings.source == "kafka":
        # Before the bundle is loaded, which takes longer.
        require(settings.connection(), settings.names().scoring)
    figures = Figures()
    scorer = scorer_of(settings)
    try:
        if settings.source == "kafka":
            _read(settings, scorer, figures, stopped)
        else:
            _listen(settings, scorer, figures, stopped)
    finally:
        scorer.close()


def scorer_of(settings: StreamSettings) -> Scorer:
    """Who computes.

    Raises:
        BundleError: the bundle is broken.
        SourceError: it cannot be fetched.
    """
    if settings.predictor:
        from serving.stream.remote import PredictorScorer

        return PredictorScorer(
            settings.predictor,
            settings.predictor_model,
            texts=settings.call_texts,
            seconds=settings.predictor_seconds,
            top_k=settings.top_k,
        )
    from rampart.bundle.cache import BundleCache, Holding
    from rampart.inference.engine import Engine
    from rampart.settings import user_cache

    holding = Holding(BundleCache(settings.model_cache or user_cache() / "models"))
    place = settings.bundle
    folder = holding.bundle(place) if is_address(place) else Path(place)
    engine = Engine.load(
        folder, threads=settings.threads, cascade=settings.cascade, keep=holding.keep
    )
    return EngineScorer(
        engine, calls=settings.calls, tokens=settings.batch_tokens, top_k=settings.top_k
    )


def _read(
    settings: StreamSettings, scorer: Scorer, figures: Figures, stopped: threading.Event
) -> None:
    processor = Processor(
        settings.connection(),
        settings.names(),
        scorer,
        group=settings.group,
        guarantee=settings.guarantee,
        identity=settings.identity,
        retries=settings.waits(),
        limits=settings.limits(),
        figures=figures,
    )

    def alive() -> str:
        if not scorer.alive:
            return _DEAD
        stuck = processor.stuck
        return f"it has stood still for {stuck:.0f} s" if stuck > _STUCK_SECONDS else ""

    def ready() -> str:
        return "" if processor.breaker.closed else "the predictor does not answer"

    app = application(figures.registry, ready=ready, alive=alive)
    with answering(settings.host, settings.http_port, app) as address:
        say(f"Scoring {settings.names().received} of {settings.broker}; probes at {address}")
        processor.run(stopped.is_set)


def _listen(
    settings: StreamSettings, scorer: Scorer, figures: Figures, stopped: threading.Event
) -> None:
    sink = Sink(
        scorer,
        figures,
        max_event_bytes=settings.max_event_bytes,
        max_text_bytes=settings.max_text_bytes,
    )

    def ready() -> str:
        return "it is told to stop" if stopped.is_set() else ""

    def alive() -> str:
        return "" if scorer.alive else _DEAD

    app = application(figures.registry, ready=ready, alive=alive, sink=sink)
    with answering(settings.host, settings.http_port, app) as address:
        say(f"Scoring events that are sent to {address}/")
        stopped.wait()
        deadline = time.monotonic() + settings.handover
        while sink.unanswered and time.monotonic() < deadline:
            time.sleep(0.05)


def say(line: str) -> None:
    """Print a line that others wait for."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def stop_signal() -> threading.Event:
    """Set by SIGTERM or SIGINT; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        del frame
        stopped.set()
        # Whoever asks twice does not want to wait.
        signal.signal(signum, signal.SIG_DFL)

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    return stopped


@contextmanager
def answering(host: str, port: int, app: Starlette) -> Iterator[str]:
    """Answer over HTTP from a thread, for as long as the block runs."""
    listener = _listening(host, port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, proxy_headers=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="rampart-http", daemon=True
    )
    thread.start()
    try:
        yield "http://{}:{}".format(*listener.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join()


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(
            f"{host}:{port} cannot be listened on: {error.strerror}.",
            "Give another port, or end what listens there.",
        ) from error
    return listener
