"""Every error as the client sees it: a problem document (RFC 9457) with a remedy."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from optuna.exceptions import StorageInternalError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from rampart.errors import InputError, PipelineError, RampartError, outcome

_log = logging.getLogger("rampart.control")
MEDIA_TYPE = "application/problem+json"
_LONGEST = 1_000
_RETRY_AFTER = "30"


class ConflictError(InputError):
    """What the caller asks contradicts what is there."""


class Problem(BaseModel):
    """What was wrong, and what to do about it."""

    type: str = Field(default="about:blank", description="Always about:blank: see the status.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What was wrong, with the value.", examples=["There is no run 'r1'."]
    )
    remedy: str = Field(description="What to do about it.", examples=["GET /v1/runs lists them."])


def problem(status: int, detail: str, remedy: str = "") -> dict[str, Any]:
    """A problem document."""
    title = HTTPStatus(status).phrase
    # It quotes what the client sent, which may be long.
    said = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]} ..."
    return Problem(title=title, status=status, detail=said, remedy=remedy).model_dump()


def answer(document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response that a problem is sent as."""
    status = document["status"]
    more = {"Retry-After": _RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(
        document, status_code=status, media_type=MEDIA_TYPE, headers={**more, **(headers or {})}
    )


def refuse(error: Exception) -> dict[str, Any]:
    """The problem that an error becomes; an unforeseen one is logged under an id."""
    if isinstance(error, RampartError):
        return problem(_status(error), error.problem, error.remedy)
    if isinstance(error, SQLAlchemyError | StorageInternalError):
        _log.error("The database of studies failed", exc_info=error)
        return problem(
            503, "The database of studies does not answer.", "Try again; the server's log says why."
        )
    number = uuid.uuid4().hex[:12]
    _log.error("Error %s", number, exc_info=error)
    return problem(
        500, f"Something failed in the server: error {number}.", "Report it; the log has more."
    )


def _status(error: RampartError) -> int:
    if isinstance(error, ConflictError):
        return 409
    # Here a pipeline's error is that it cannot be started; what its steps say is the run's.
    return 502 if isinstance(error, PipelineError) else outcome(error).http_status
