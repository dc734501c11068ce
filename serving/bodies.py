"""Request bodies as ASGI brings them: read piece by piece, given again, or left unread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Send

# How much of a refused body is read and thrown away, so that a client which only listens once it
# has sent everything gets to hear the refusal rather than a broken connection.
_DRAIN_BYTES = 128_000_000
_DRAIN_SECONDS = 10.0


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None where it is over so many bytes, of which no more are read.

    Raises:
        ClientDisconnect: the client went before it had sent all.
    """
    body = bytearray()
    async for chunk in _chunks(receive):
        if len(body) + len(chunk) > most:
            return None
        body += chunk
    return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that has the body at once, and then whatever comes after it."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def refuse_body(response: JSONResponse, send: Send, unread: Receive | None) -> None:
    """Answer, then read what the client still sends; the connection ends with it."""
    response.headers["Connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if unread is not None:
        await _drain(unread)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _drain(receive: Receive) -> None:
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in _chunks(receive):
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect):
        return
