"""KServe's REST server with our limits, our answers to errors and our V2 route."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rampart.errors import InputError
from serving.predictor import metrics
from serving.predictor.codec.v2_rest import HEADER_LENGTH, V2Body, V2Reply
from serving.predictor.limits import ErrorAnswers, RequestLimits, Shedding
from serving.predictor.refusal import count_refusal
from serving.predictor.sdk import ModelNotReady, RESTServer, V1Endpoints
from serving.predictor.settings import ServerSettings


class UvicornServer(uvicorn.Server):
    """Uvicorn that leaves signals to the process that it is a part of.

    Its own handler would stop REST at once and gRPC only afterwards, and KServe's handler, set
    before, would never see the signal in time.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


class PredictorRESTServer(RESTServer):  # type: ignore[misc]
    """KServe's REST server; health, metadata, V1 and metrics are its own."""

    def __init__(self, settings: ServerSettings, dataplane: Any, repository: Any) -> None:
        super().__init__(
            "kserve.model_server:app",
            dataplane,
            repository,
            settings.http_port,
            # Uvicorn counts whole seconds.
            grace_period=max(1, round(settings.grace)),
        )
        self.settings = settings
        self.repository = repository
        # KServe writes 0.0.0.0 into the configuration and takes no host.
        self.config.host = settings.host
        self.server = self._server = UvicornServer(self.config)

    async def take(self, connection: socket.socket) -> None:
        """Answer on a connection that another process has accepted."""
        server, config = self.server, self.config

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(
                config=config, server_state=server.server_state, app_state=server.lifespan.state
            )
            return made

        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)

    def _register_endpoints(self, app: Any) -> None:
        if metrics.SHARED:
            # Before KServe's own, which knows of this process alone.
            app.add_route("/metrics", _all_metrics)
        # Before KServe's own route for the same path, whose body FastAPI parses as "JSON or
        # bytes": wrong JSON becomes 422, and BYTES in binary pass through a list of characters
        # that must be UTF-8, or it is a 500.
        # A plain route: there is nothing here that FastAPI would do for what it takes.
        app.add_route("/v2/models/{model_name}/infer", self._infer, methods=["POST"])
        app.add_api_route(
            "/v2/models/{model_name}/members",
            self._members,
            methods=["GET"],
            response_model=None,
            summary="The bundle's models, their costs, and how their logits become one",
        )
        app.add_api_route(
            "/v2/repository/index",
            self._index,
            methods=["POST"],
            response_model=None,
            summary="The models that are or were here, and their states",
        )
        # Before the route for /v1/models/{model_name}, which takes "NAME:predict" for a name and
        # tells a client with the wrong method to use GET.
        predict = V1Endpoints(self.dataplane).predict
        app.add_api_route(
            "/v1/models/{model_name}:predict", predict, methods=["POST"], response_model=None
        )
        super()._register_endpoints(app)

    def _add_middlewares(self, app: Any) -> None:
        # KServe's TimingMiddleware is left out: it costs a third of the throughput to log a line.
        app.add_middleware(ErrorAnswers)
        app.add_middleware(RequestLimits, max_bytes=self.settings.max_request_bytes)
        app.add_middleware(Shedding, refuses=self._refuses)

    def _refuses(self, name: str) -> bool:
        model = self.dataplane.model_registry.get_model(name)
        return model is not None and model.worker.refuses()

    def _add_exception_handlers(self, app: Any) -> None:
        # KServe's are left out; see ErrorAnswers. Starlette's own would say {"detail": ...}.
        app.add_exception_handler(HTTPException, _http_error)

    async def _infer(self, request: Request) -> Response:
        name = request.path_params["model_name"]
        body = await request.body()
        if not await self.dataplane.model_ready(name, True):  # noqa: FBT003 - KServe's signature
            raise ModelNotReady(name)
        reply: V2Reply
        reply, _ = await self.dataplane.infer(
            model_name=name,
            request=V2Body(body, request.headers.get(HEADER_LENGTH)),
            headers=dict(request.headers),
        )
        if reply.header_length is None:
            return Response(reply.content, media_type="application/json")
        return Response(
            reply.content,
            media_type="application/octet-stream",
            headers={HEADER_LENGTH: str(reply.header_length)},
        )

    async def _members(self, request: Request) -> JSONResponse:
        model = self.dataplane.get_model_from_registry(request.path_params["model_name"])
        return JSONResponse(model.members())

    async def _index(self, request: Request) -> JSONResponse:
        body = await request.body()
        try:
            document = json.loads(body or b"{}")
            only_ready = bool(document.get("ready", False))
        except (ValueError, AttributeError):
            raise InputError(
                "The body is no JSON object.", 'Send none, or {"ready": true} for the ready ones.'
            ) from None
        return JSONResponse(await self.repository.index(only_ready))


async def _all_metrics(request: Request) -> Response:
    content, content_type = metrics.of_all(request.headers.get("accept", ""))
    return Response(content, headers={"content-type": content_type})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    count_refusal(error.status_code)
    message = f"{error.detail}: {request.method} {request.url.path[:200]}."
    if error.status_code == 404:
        message += " Score texts with POST /v2/models/NAME/infer or /v1/models/NAME:predict."
    elif error.headers and "allow" in {name.lower() for name in error.headers}:
        message += f" Use {', '.join(error.headers.values())}."
    return JSONResponse(
        {"error": message}, status_code=error.status_code, headers=dict(error.headers or {})
    )
