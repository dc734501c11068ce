"""What the scorer answers over HTTP: probes, metrics, and events where they come this way.

An event is answered with the event that is its verdict. What can never be scored gets a 4xx, which
a KafkaSource or a Trigger does not try again but sends to its dead letter sink; what may pass gets
a 503, which it does try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rampart.errors import (
    EventError,
    InputError,
    OverloadedError,
    RampartError,
    TooLargeError,
    UnknownModelError,
    outcome,
)
from rampart.streaming.events import Reason
from rampart.streaming.figures import Figures
from rampart.streaming.scoring import Scorer, message_of, verdict_of
from rampart.streaming.wire import STRUCTURED, from_http, to_http
from serving.bodies import read_body

_RETRY_SECONDS = "1"
_BODY_SECONDS = 30.0
_UNSUPPORTED = 415
_MEDIA = {Reason.BATCHED, Reason.BAD_CONTENT_TYPE, Reason.NOT_CLOUDEVENT}


class Sink:
    """Takes received events and answers with verdicts."""

    def __init__(
        self, scorer: Scorer, figures: Figures, *, max_event_bytes: int, max_text_bytes: int
    ) -> None:
        """Ready to answer.

        Args:
            scorer: who computes.
            figures: to count in.
            max_event_bytes: of an event.
            max_text_bytes: of its text in UTF-8.
        """
        self.unanswered = 0
        self._scorer = scorer
        self._figures = figures
        self._max_event_bytes = max_event_bytes
        self._max_text_bytes = max_text_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer one event."""
        try:
            response = await self._answered(request)
        except RampartError as error:
            response = _refusal(error)
            reason = error.reason if isinstance(error, EventError) else "refused"
            self._figures.outputs.labels(
                "unanswered" if response.status_code == 503 else reason
            ).inc()
        return response

    async def _answered(self, request: Request) -> Response:
        # Before it is read: what waits is what takes memory.
        if self.unanswered >= self._scorer.calls:
            raise OverloadedError(
                f"{self.unanswered} events are waiting already.", "Try again in a second."
            )
        self.unanswered += 1
        try:
            return await self._scored(request)
        except TimeoutError as error:
            raise OverloadedError(str(error) or "The event did not come in time.") from None
        except UnknownModelError as error:
            # That is nothing that whoever sends events can mend.
            raise OverloadedError(str(error)) from None
        finally:
            self.unanswered -= 1

    async def _scored(self, request: Request) -> Response:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await read_body(request.receive, self._max_event_bytes)
        if body is None:
            raise TooLargeError(
                f"The event has more than {self._max_event_bytes} bytes.", "Send a smaller one."
            )
        begun = datetime.now(UTC)
        told = from_http(request.headers, body)
        self._figures.read.labels("http").inc()
        # Mails are parsed, which may take a while.
        message = await asyncio.to_thread(
            message_of, told, begun, max_text_bytes=self._max_text_bytes
        )
        scores = await asyncio.wrap_future(self._scorer.submit([message.text]))
        [verdict] = scores.verdicts
        now = datetime.now(UTC)
        structured = request.headers.get("content-type", "").lower().startswith(STRUCTURED)
        headers, content = to_http(
            verdict_of(message, verdict, scores.about, now),
            "structured" if structured else "binary",
        )
        self._figures.threats.labels(verdict.label, verdict.stage).inc()
        self._figures.outputs.labels("verdict").inc()
        self._figures.here.observe((now - begun).total_seconds())
        self._figures.seconds.observe(max(0.0, (now - message.received).total_seconds()))
        return Response(content, headers=headers)


def application(
    registry: CollectorRegistry,
    *,
    ready: Callable[[], str],
    alive: Callable[[], str],
    sink: Sink | None = None,
) -> Starlette:
    """The ASGI application.

    Args:
        registry: shown at /metrics.
        ready: what keeps it from working; nothing where nothing does.
        alive: what only a new start would mend.
        sink: takes events at /, where they come this way.
    """
    routes = [
        Route("/healthz", _health(alive)),
        Route("/readyz", _health(ready)),
        Route("/metrics", _metrics(registry)),
    ]
    if sink is not None:
        routes.append(Route("/", sink.__call__, methods=["POST"]))
    return Starlette(routes=routes)


def _health(wrong: Callable[[], str]) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        problem = wrong()
        body = {"status": problem or "ok"}
        return JSONResponse(body, status_code=503 if problem else 200)

    return answer


def _metrics(registry: CollectorRegistry) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer


def _refusal(error: RampartError) -> Response:
    status = outcome(error).http_status
    headers = {}
    if isinstance(error, EventError):
        status = _UNSUPPORTED if error.reason in _MEDIA else status
        headers["Rampart-Reason"] = error.reason
    elif not isinstance(error, InputError):
        status = 503
    if status == 503:
        headers["Retry-After"] = _RETRY_SECONDS
    return PlainTextResponse(f"{error}\n", status_code=status, headers=headers)
