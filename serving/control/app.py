"""The API as a whole: routes, who may call, how errors look, what is documented."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from rampart import __version__
from rampart.errors import OverloadedError, RampartError
from serving.control.access import Access
from serving.control.desk import Desk, readable_root
from serving.control.events import Streams
from serving.control.limits import BodyLimit
from serving.control.metrics import Counted, Figures
from serving.control.page import documentation
from serving.control.refusal import Problem, answer, problem, refuse
from serving.control.routes_defaults import default_routes
from serving.control.routes_runs import run_routes
from serving.control.routes_studies import study_routes
from serving.control.shapes import Health, no_other_query, refusals

_ABOUT = (
    "Starts, follows and stops tuning studies and training runs, promotes what they found, and "
    "composes ensembles of registered versions. Every start takes an Idempotency-Key."
)
# Documents what Access asks for before a request comes here.
_TOKEN = Depends(HTTPBearer(auto_error=False, description="The API's token."))


def control_app(desk: Desk, token: str | None) -> FastAPI:
    """The ASGI application.

    Args:
        desk: what it does.
        token: that callers may send.
    """
    app = FastAPI(
        title="Rampart control API",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
    )
    settings = desk.settings
    streams = Streams(settings.max_streams, settings.heartbeat)
    for routes in (run_routes(desk, streams), study_routes(desk, streams), default_routes(desk)):
        app.include_router(routes, dependencies=[_TOKEN, Depends(no_other_query)])
    figures = Figures()
    _add_health(app, desk)
    _add_metrics(app, figures)
    _add_errors(app)
    _document(app)
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    app.add_middleware(Access, token=token, mesh_header=settings.mesh_header)
    # What was added last is asked first: whoever is refused is counted too.
    app.add_middleware(Counted, figures=figures)
    return app


def _add_health(app: FastAPI, desk: Desk) -> None:
    @app.get("/healthz", tags=["health"], summary="Whether the process answers")
    async def healthz() -> Health:
        return Health(status="ok")

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Whether runs can be started",
        responses=refusals(503),
    )
    def readyz() -> Health:
        if not readable_root(desk.local.root):
            raise OverloadedError(
                "The folder of runs cannot be written.", "Look at RAMPART_CONTROL_ROOT."
            )
        return Health(status="ready")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(
            documentation(app.openapi()),
            headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )


def _add_metrics(app: FastAPI, figures: Figures) -> None:
    shown: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
    }

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Figures for Prometheus",
        response_class=Response,
        responses=shown | refusals(),
        dependencies=[_TOKEN],
    )
    def metrics() -> Response:
        return figures.shown()


def _add_errors(app: FastAPI) -> None:
    async def any_error(_: Request, error: Exception) -> JSONResponse:
        return answer(refuse(error))

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
        first = error.errors()[0]
        place, *rest = first["loc"]
        # Names of fields are the client's own: of any length, and perhaps no text.
        named = ".".join(map(str, rest)) or str(place)
        where = named[:80].encode(errors="backslashreplace").decode()
        message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        if first["type"] == "json_invalid":
            where, message = "The body", "it is no JSON"
        return answer(
            problem(422, f"{where} cannot be used: {message}.", "GET /openapi.json has the form.")
        )

    async def other(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        said = f"{error.detail}: {request.method} {request.url.path[:200]}."
        remedy = "GET /openapi.json lists the paths."
        return answer(problem(error.status_code, said, remedy), error.headers)

    app.add_exception_handler(RampartError, any_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)
    app.add_exception_handler(Exception, any_error)


def _document(app: FastAPI) -> None:
    """Add the problem's schema, which no answer of FastAPI's own has, and take FastAPI's away."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
