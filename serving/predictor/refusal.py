"""Every error as the client sees it, the same over REST and gRPC."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

import grpc  # type: ignore[import-untyped]

from rampart.errors import (
    InputError,
    OverloadedError,
    RampartError,
    TooLargeError,
    UnknownModelError,
    outcome,
)
from serving.predictor.metrics import REJECTED
from serving.predictor.sdk import (
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    ServerNotLive,
    ServerNotReady,
)

_log = logging.getLogger("rampart.predictor")

RETRY_AFTER = "1"
_GRPC_CODES: dict[type[RampartError], grpc.StatusCode] = {
    TooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    UnknownModelError: grpc.StatusCode.NOT_FOUND,
    InputError: grpc.StatusCode.INVALID_ARGUMENT,
    OverloadedError: grpc.StatusCode.UNAVAILABLE,
}
_REASONS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_encoding",
    503: "overloaded",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error for the client: HTTP status, gRPC code and one message for both."""

    status: int
    code: grpc.StatusCode
    message: str

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that go with it."""
        return {"Retry-After": RETRY_AFTER} if self.status == 503 else {}


def refuse(error: Exception) -> Refusal:
    """The refusal that an error becomes, counted; an unforeseen one is logged under an id.

    Only the id of an unforeseen error reaches the client: its text may hold what the server
    knows, and a stack trace helps nobody there.
    """
    known = _known(error)
    if known is None or not isinstance(known, InputError | OverloadedError):
        number = uuid.uuid4().hex[:12]
        _log.error("Error %s", number, exc_info=error)
        message = f"Something failed in the server. Report error {number}; its log has the details."
        REJECTED.labels("internal_error").inc()
        return Refusal(500, grpc.StatusCode.INTERNAL, message)
    status = outcome(known).http_status
    count_refusal(status)
    code = next(_GRPC_CODES[kind] for kind in type(known).__mro__ if kind in _GRPC_CODES)
    return Refusal(status, code, str(known))


def count_refusal(status: int) -> None:
    """Count a refused request by what its HTTP status means."""
    REJECTED.labels(_REASONS.get(status, "other")).inc()


def _known(error: Exception) -> RampartError | None:
    """KServe's own errors as ours, so that there is one table from errors to statuses."""
    if isinstance(error, RampartError):
        return error
    if isinstance(error, ModelNotFound):
        return UnknownModelError(str(error), "GET /v2/models lists those there are.")
    if isinstance(error, ModelNotReady | ServerNotReady | ServerNotLive):
        return OverloadedError(str(error), "Try again in a second.")
    if isinstance(error, InvalidInput):
        return InputError(str(error))
    if isinstance(error, NotImplementedError):
        # KServe raises it for one thing only: a version in the path.
        return UnknownModelError("No model here has versions.", "Ask without /versions/....")
    return None
