"""How large a request's body may be."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from rampart.errors import TooLargeError
from serving.bodies import read_body, refuse_body, replay
from serving.control.refusal import answer, refuse


class BodyLimit:
    """Refuses bodies over a size: by Content-Length before reading, otherwise while reading."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # A client that asks first sends nothing once it is refused.
        asks_first = headers.get("expect", "").lower() == "100-continue"
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared[:20]) > self.most:
            await self._refuse(send, None if asks_first else receive)
            return
        try:
            body = await read_body(receive, self.most)
        except ClientDisconnect:
            # Nobody is left to answer, and half a body says nothing.
            return
        if body is None:
            await self._refuse(send, receive)
            return
        await self.app(scope, replay(body, receive), send)

    async def _refuse(self, send: Send, unread: Receive | None) -> None:
        said = refuse(TooLargeError(f"The body is over {self.most} bytes.", "Send less."))
        await refuse_body(answer(said), send, unread)
