"""What requests and answers look like, beyond what the parts themselves say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from rampart.errors import InputError
from rampart.registry.records import Version
from rampart.tuning.settings import STUDY_NAME
from serving.control.refusal import MEDIA_TYPE, Problem
from serving.control.runs.base import RUN_ID

T = TypeVar("T")
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,200}$",
        description="Sent again with the same request, nothing is started a second time.",
        examples=["nightly-2026-11-27"],
    ),
]
After = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        pattern=r"^[0-9a-f]{0,64}$",
        description="Id of the last event that was seen; the stream goes on after it.",
    ),
]
RunId = Annotated[str, Path(pattern=RUN_ID, description="A run's id.")]
StudyName = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=STUDY_NAME, description="A study's name."),
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at the most.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many of them to pass over.")]
Text = Annotated[StrictStr, Field(max_length=10_000)]
Plain = Text | StrictInt | StrictFloat | StrictBool


class Page(BaseModel, Generic[T]):
    """Some of a list."""

    items: list[T]
    total: int = Field(description="How many there are in all.")
    next: int | None = Field(description="The offset of what comes next; null at the end.")


class RunOrder(BaseModel):
    """A pipeline to run."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "pipeline": "training",
                    "arguments": {"uri": "/data/mails.jsonl", "encoder_epochs": 2},
                    "defaults": "promoted",
                }
            ]
        },
    )

    pipeline: str = Field(
        max_length=100, pattern=r"^[a-z-]+$", description="Its name, such as training."
    )
    arguments: dict[str, Plain] = Field(
        default_factory=dict,
        max_length=200,
        description="Parameters of the pipeline; those left out keep their defaults.",
    )
    defaults: Literal["own", "promoted"] = Field(
        default="own",
        description="Whether parameters left out are the pipeline's own or those promoted.",
    )


class Promoted(BaseModel):
    """The defaults that training runs may ask for."""

    parameters: dict[str, str | int | float]
    source: str = Field(description="What found them.")
    promoted_by: str
    promoted: datetime


class VersionShown(BaseModel):
    """A version that an ensemble may take models from."""

    number: int
    bundle_id: str
    aliases: list[str]
    created: datetime
    reason: str
    metrics: dict[str, float]

    @classmethod
    def of(cls, version: Version) -> VersionShown:
        """The registry's version as it is shown."""
        return cls(
            number=version.number,
            bundle_id=version.bundle_id,
            aliases=list(version.aliases),
            created=version.created,
            reason=version.reason,
            metrics=dict(version.metrics),
        )


class Health(BaseModel):
    """Whether the API answers."""

    status: str = Field(examples=["ok"])


def page(items: Sequence[T], limit: int, offset: int) -> Page[T]:
    """Some of a list, and where the rest begins."""
    end = offset + limit
    return Page(
        items=list(items[offset:end]),
        total=len(items),
        next=end if end < len(items) else None,
    )


def no_other_query(request: Request) -> None:
    """Refuse what is no parameter of the operation, such as one that is misspelt.

    Raises:
        InputError: there is such a one.
    """
    route = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    if unknown := sorted(set(request.query_params) - known):
        raise InputError(
            f"There is no query parameter {unknown[0][:80]!r} here.",
            f"There is {' and '.join(sorted(known)) or 'none'}.",
        )


_REASONS = {
    400: "What was asked cannot be used.",
    401: "Nobody is known by what the request says.",
    403: "A page of another site asks, or another machine where nobody is asked for a token.",
    404: "There is no such thing.",
    405: "The path takes no such method.",
    409: "What was asked contradicts what is there.",
    413: "The body is too large.",
    422: "The request is not of the form that is documented here.",
    500: "Something failed in the server.",
    502: "MLflow or Kubeflow Pipelines does not answer.",
    503: "As many runs or streams as may be are at work.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that are problems."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        status: {"description": _REASONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({400, 401, 403, 422, 500, *statuses})
    }
