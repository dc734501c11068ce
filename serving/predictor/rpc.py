"""KServe's gRPC service with our answers to errors and our decoding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, cast

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from rampart.errors import InputError, UnknownModelError
from serving.predictor.refusal import refuse
from serving.predictor.sdk import InferenceServicer, ModelNotReady, pb, pb_grpc
from serving.predictor.settings import ServerSettings

SECONDS_LEFT: ContextVar[float | None] = ContextVar("seconds_left", default=None)
"""How long the client of the gRPC call that is being answered will wait, if it said so."""

_Method = Callable[[Any, Any], Awaitable[Any]]


class PredictorServicer(InferenceServicer):  # type: ignore[misc]
    """KServe's service; health and metadata are its own."""

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - protocol's name
        """Score texts."""
        name = request.model_name
        if request.model_version:
            raise UnknownModelError("No model here has versions.", "Leave model_version empty.")
        # KServe asks this over REST only; over gRPC it would load the model anew.
        if not await self._data_plane.model_ready(name, True):  # noqa: FBT003 - its signature
            raise ModelNotReady(name)
        headers = dict(list(context.invocation_metadata() or ()))
        SECONDS_LEFT.set(context.time_remaining())
        reply, _ = await self._data_plane.infer(model_name=name, request=request, headers=headers)
        return reply

    # KServe's own two read an answer that its repository does not give.

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Load a model, or its new bundle."""
        await self._mode_repository_extension.load(request.model_name)
        return pb.RepositoryModelLoadResponse(model_name=request.model_name, isLoaded=True)

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Unload a model."""
        await self._mode_repository_extension.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse(model_name=request.model_name, isUnloaded=True)


class ErrorStatuses(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Turns every exception of a method into its status, and bytes that are no message too.

    KServe's own interceptor logs a stack trace for each of a client's mistakes, fails on errors
    without a `reason`, and never sees a message that cannot be parsed, which gRPC calls an
    internal error.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wrap the method's handler."""
        handler = cast("Any", await continuation(handler_call_details))
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _answering(handler.unary_unary),
            request_deserializer=_parsing(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _answering(method: _Method) -> _Method:
    async def answered(request: Any, context: Any) -> Any:
        if isinstance(request, InputError):
            refusal = refuse(request)
        else:
            try:
                return await method(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - refuse() logs what nobody foresaw
                refusal = refuse(error)
        return await context.abort(refusal.code, refusal.message)

    return answered


def _parsing(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def parsed(content: bytes) -> Any:
        try:
            return parse(content)
        except DecodeError as error:
            return InputError(
                f"The message cannot be parsed: {error}.",
                "Send one of the Open Inference Protocol; its strings in UTF-8.",
            )

    return parsed


class PredictorGRPCServer:
    """The service on a port; KServe's own listens on every address."""

    def __init__(
        self, settings: ServerSettings, dataplane: Any, repository: Any, *, shared: bool = False
    ) -> None:
        self.settings = settings
        self.shared = shared
        self.servicer = PredictorServicer(dataplane, repository)
        self.server: Any = None

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            InputError: the address cannot be listened on.
        """
        self.server = grpc.aio.server(
            interceptors=(ErrorStatuses(),),
            options=[
                ("grpc.max_receive_message_length", self.settings.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # Else a second server on the same port takes half of the requests: only workers
                # of one server may.
                ("grpc.so_reuseport", int(self.shared)),
            ],
        )
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(self.servicer, self.server)
        host, port = self.settings.host, self.settings.grpc_port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            taken = int(self.server.add_insecure_port(address))
        except RuntimeError as error:
            raise InputError(
                f"gRPC cannot listen on {address}: {error}.",
                "Choose another port or stop what listens there.",
            ) from None
        await self.server.start()
        return taken

    async def stop(self, grace: float) -> None:
        """Refuse new calls, and end those that still run after `grace` seconds."""
        if self.server is not None:
            await self.server.stop(grace)
