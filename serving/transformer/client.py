"""The predictor as the transformer asks it: without a thread, in the time that the client gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]

from rampart.errors import InputError
from serving.predictor import messages
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import ScoreRequest
from serving.predictor.rpc import SECONDS_LEFT
from serving.predictor.sdk import pb_grpc

# Who a request belongs to: W3C Trace Context and Baggage, and what KServe itself passes on.
PASSED_ON = (
    "traceparent", "tracestate", "baggage", "x-request-id", "x-b3-traceid", "x-b3-spanid",
    "x-b3-sampled", "authorization",
)  # fmt: skip
# Envoy, and so Istio's and Knative's gateways, say here how long they will wait.
_ENVOY_TIMEOUT = "x-envoy-expected-rq-timeout-ms"


class PredictorClient:
    """Calls one model of a predictor; belongs to one event loop."""

    def __init__(self, address: str, model: str, *, deadline: float) -> None:
        self._address = address
        self._model = model
        self._deadline = deadline
        self._channel: grpc.aio.Channel | None = None

    async def answer(
        self, request: ScoreRequest, texts: Sequence[str], headers: Mapping[str, str]
    ) -> Answer:
        """The predictor's answer on texts, as if it were the one to the request.

        Raises:
            RampartError: what the predictor refused, or that it cannot be reached in time.
        """
        if self._channel is None:
            # Only now: a channel belongs to the event loop that it is made in.
            self._channel = grpc.aio.insecure_channel(self._address, options=messages.UNLIMITED)
        stub = pb_grpc.GRPCInferenceServiceStub(self._channel)
        message = messages.request(self._model, texts, parameters(request))
        metadata = [(name, headers[name]) for name in PASSED_ON if name in headers]
        try:
            reply = await stub.ModelInfer(
                message, timeout=self.seconds(headers), metadata=metadata or None
            )
        except grpc.aio.AioRpcError as error:
            refused = messages.refusal(self._address, error)
            if refused is None:
                raise
            raise refused from None
        return _read(request, messages.columns(reply), messages.about(reply))

    def seconds(self, headers: Mapping[str, str]) -> float:
        """How long the predictor may take: what the client waits for, if it said so.

        Raises:
            InputError: it says something that is no time.
        """
        left = SECONDS_LEFT.get()
        if left is not None:
            return min(self._deadline, left)
        given = headers.get(_ENVOY_TIMEOUT)
        if given is None:
            return self._deadline
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            raise InputError(f"{_ENVOY_TIMEOUT} is {given[:40]!r}.", "Send whole milliseconds.")
        return min(self._deadline, int(given) / 1e3)

    async def close(self) -> None:
        """End the connection."""
        if self._channel is not None:
            await self._channel.close()


def parameters(request: ScoreRequest) -> dict[str, str]:
    """What the predictor has to know of a request."""
    options = request.options
    given = {"top_k": str(options.top_k), "explain": options.explain}
    if options.threshold is not None:
        given["threshold"] = repr(options.threshold)
    if options.models is not None:
        given["models"] = ",".join(options.models)
    return given


def _read(
    request: ScoreRequest, columns: Mapping[str, list[Any]], about: Mapping[str, str]
) -> Answer:
    harmless, threat = about["labels"].split(",")
    models = tuple(filter(None, about["models"].split(",")))
    return Answer(
        request,
        messages.verdicts(columns, models, len(request.texts)),
        about["bundle"],
        float(about["threshold"]),
        (harmless, threat),
        models,
        about["method"],
    )
