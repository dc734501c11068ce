"""Who may call: a bearer token, the mesh's word, or on loopback anybody on this machine."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.control.refusal import answer, problem
from serving.control.settings import on_loopback

OPEN = frozenset({"/healthz", "/readyz"})
CALLER = "caller"
_LONGEST_NAME = 200


class Access:
    """Refuses, before anything is read of a request, whoever is not known.

    A page in a browser is refused too unless it came from here: it needs no token where the mesh's
    gateway adds the header, or where nobody is asked for one.

    Args:
        app: what is behind it.
        token: that callers may send; None for none.
        mesh_header: header that names the caller and is believed; None for none.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, mesh_header: str | None) -> None:
        self.app = app
        self._token = token.encode() if token is not None else None
        self._mesh_header = mesh_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refused := self._refused_page(headers):
            await refused(scope, receive, send)
            return
        caller = self._caller(headers)
        if caller is None:
            await self._unknown()(scope, receive, send)
            return
        scope.setdefault("state", {})[CALLER] = caller
        await self.app(scope, receive, send)

    def _caller(self, headers: Headers) -> str | None:
        if self._token is None and self._mesh_header is None:
            return "local"
        scheme, _, said = headers.get("authorization", "").partition(" ")
        if (
            self._token is not None
            and scheme.lower() == "bearer"
            and hmac.compare_digest(said.strip().encode(), self._token)
        ):
            return "token"
        if self._mesh_header is None:
            return None
        # Given twice, one of the two may be the client's own.
        names = headers.getlist(self._mesh_header)
        name = names[0].strip() if len(names) == 1 else ""
        return f"mesh:{name}" if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else None

    def _refused_page(self, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return answer(
                problem(
                    403, "The request comes from a page of another site.", "Call the API directly."
                )
            )
        asks_nobody = self._token is None and self._mesh_header is None
        # A name that leads here without being this machine's is another site's trick.
        if asks_nobody and not on_loopback(_hostname(host)):
            return answer(
                problem(
                    403,
                    f"Without authentication only this machine is answered, not {host[:80]!r}.",
                    "Call http://127.0.0.1, or set a token.",
                )
            )
        return None

    def _unknown(self) -> JSONResponse:
        where = " or come through the mesh's gateway" if self._mesh_header is not None else ""
        return answer(
            problem(
                401,
                "Nobody is known by what the request says.",
                f"Send the header Authorization: Bearer TOKEN{where}.",
            ),
            {"WWW-Authenticate": 'Bearer realm="rampart"'},
        )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
