"""What stands between the network and KServe's REST handlers: size limits and error answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rampart.errors import TooLargeError
from serving.bodies import read_body, refuse_body, replay
from serving.predictor.refusal import RETRY_AFTER, count_refusal, refuse

_INFERENCE = re.compile(r"/v2/models/([^/]+)/infer|/v1/models/([^/:]+):(?:predict|explain)")
_SHED = b'{"error":"As many requests as may are waiting already. Try again in a second."}'
_SHED_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_SHED)).encode()),
    (b"retry-after", RETRY_AFTER.encode()),
]


class Shedding:
    """Refuses requests to a model whose queue is full before their bodies are read.

    To read, parse and then refuse costs as much as a verdict of the first stage: at three times the
    load that can be answered it would take half of the verdicts (docs/serving.md has the figures).
    """

    def __init__(self, app: ASGIApp, *, refuses: Callable[[str], bool]) -> None:
        self.app = app
        self.refuses = refuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = _INFERENCE.fullmatch(scope.get("path", "")) if scope["type"] == "http" else None
        if asked is None or not self.refuses(asked[1] or asked[2]):
            await self.app(scope, receive, send)
            return
        count_refusal(503)
        # The server passes over what is left of the body, and the connection stays.
        await send({"type": "http.response.start", "status": 503, "headers": _SHED_HEADERS})
        await send({"type": "http.response.body", "body": _SHED})


class RequestLimits:
    """Refuses bodies over a size: by Content-Length before reading, otherwise while reading."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # A client that asks first (Expect: 100-continue) sends nothing once it is refused.
        asks_first = headers.get("expect", "").lower() == "100-continue"
        encoding = headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            count_refusal(415)
            message = f"Content-Encoding is {encoding[:40]!r}. Send the body as it is."
            response = JSONResponse({"error": message}, status_code=415)
            await refuse_body(response, send, None if asks_first else receive)
            return
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self.max_bytes:
            await self._refuse_size(send, None if asks_first else receive)
            return
        try:
            body = await read_body(receive, self.max_bytes)
        except ClientDisconnect:
            # Nobody is left to answer, and half a body says nothing.
            return
        if body is None:
            await self._refuse_size(send, receive)
            return
        await self.app(scope, replay(body, receive), send)

    async def _refuse_size(self, send: Send, unread: Receive | None) -> None:
        refusal = refuse(
            TooLargeError(
                f"The request's body is over {self.max_bytes} bytes.",
                "Send fewer or shorter texts in one request.",
            )
        )
        response = JSONResponse({"error": refusal.message}, status_code=refusal.status)
        await refuse_body(response, send, unread)


class ErrorAnswers:
    """Turns every exception of a handler into its answer.

    KServe's own handlers answer 500 to several mistakes of a client, log a stack trace for each,
    and send the text of unforeseen errors out; none of them is installed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            refusal = refuse(error)
            if started:
                raise
            response = JSONResponse(
                {"error": refusal.message}, status_code=refusal.status, headers=refusal.headers
            )
            await response(scope, receive, send)
