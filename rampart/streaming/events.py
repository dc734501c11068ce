"""What events say: CloudEvents 1.0, their data as models whose JSON schemas are published.

An event's type ends in the version of its data. A version only ever gains members that may be left
out, and a reader passes over those that it does not know; what else changes is a new version. The
id of a received event is the message's, and the verdict on it has the same one: whoever reads
verdicts by id finds a message that was scored twice in one place.

The schemas are in docs/events; `rampart stream schemas` writes them.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    EncodedBytes,
    EncoderProtocol,
    Field,
    StringConstraints,
    model_validator,
)


class _Strict(EncoderProtocol):
    """Base 64, and nothing that only looks like it."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        try:
            return b64decode(data, validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base 64: {error}") from None

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        return "base64"


Base64 = Annotated[bytes, EncodedBytes(encoder=_Strict)]
CONTENT_TYPE = "application/json"
MOST_SPANS = 1_000
Name = Annotated[str, StringConstraints(max_length=256)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Data(BaseModel):
    """What an event is about; members that are not known are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, title=None)


class Received(Data):
    """A message came in: its text as a reader sees it, or the mail as it was sent."""

    text: str | None = Field(
        default=None, description="Subject, empty line, body, or any other text."
    )
    mail: Base64 | None = Field(
        default=None, description="An RFC 5322 message, in base 64, in the place of the text."
    )
    category: Name = Field(default="", description="What figures are told apart by, if anything.")

    @classmethod
    def of_mail(cls, raw: bytes, category: str = "") -> Self:
        """A mail as it was sent, whatever its bytes."""
        return cls.model_validate({"mail": b64encode(raw), "category": category})

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.mail is None):
            raise ValueError("one of text and mail has to be there, and not both")
        return self


class Span(Data):
    """A part of the text, and what it adds to the logit."""

    start: int = Field(ge=0, description="First character, in code points of the text.")
    end: int = Field(ge=0, description="Behind the last.")
    contribution: float
    text: Name = Field(default="", description="What stands there, cut at 80 characters.")


class Verdict(Data):
    """A message was scored, and why it is what it is: logit = bias + contributions."""

    message: str = Field(
        max_length=1_024, description="The id of the received event, and of this one."
    )
    source: str = Field(description="Of the received event.")
    category: Name = ""
    received: AwareDatetime = Field(description="When the message came in.")
    scored: AwareDatetime
    label: Name
    threat: bool
    probability: Probability
    logit: float
    threshold: Probability = Field(description="From which the message is a threat.")
    stage: Name = Field(description="The model, or combination of models, that settled it.")
    models: dict[str, Probability] = Field(
        default={}, description="Of each model that was asked, calibrated."
    )
    bundle: str = Field(description="The id of the bundle that answered.")
    method: Name = Field(description="How contributions are come by.")
    bias: float
    spans: tuple[Span, ...] = Field(default=(), max_length=MOST_SPANS)
    sketch: str = Field(
        default="",
        description="MinHash values of the words, little-endian uint32 in base 64: near-duplicates "
        "have many in common, and the text cannot be read from them.",
    )


class Reason(StrEnum):
    """Why a message is a dead letter."""

    NO_VALUE = "no-value"
    NOT_CLOUDEVENT = "not-a-cloudevent"
    BAD_ENVELOPE = "bad-envelope"
    BATCHED = "batched"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_VERSION = "unknown-version"
    BAD_CONTENT_TYPE = "bad-content-type"
    BAD_DATA = "bad-data"
    BAD_SCHEMA = "bad-schema"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    EXHAUSTED = "exhausted"


class Origin(Data):
    """Where a record was read."""

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)


class Header(Data):
    """A header of a record."""

    name: str
    value: Base64 | None


class DeadLetter(Data):
    """A record that nobody could score, as it was, and why."""

    reason: Reason
    detail: str = Field(description="What was wrong with it, for a person.")
    attempts: int = Field(ge=1, description="Times that scoring it was tried.")
    origin: Origin
    timestamp: AwareDatetime = Field(description="Of the record.")
    key: Base64 | None
    headers: tuple[Header, ...] = ()
    value: Base64 | None = Field(description="The original bytes.")
    replays: int = Field(default=0, ge=0, description="Times that it was fed back before.")


class Drift(Data):
    """What is scored is no longer what the bundle was fitted on."""

    bundle: str
    statistic: Name = Field(description="What was measured, such as psi or ks.")
    column: Name = Field(description="What it was measured on.")
    value: float
    limit: float
    since: AwareDatetime
    until: AwareDatetime
    messages: int = Field(ge=0)


class Retraining(Data):
    """A bundle is to be made anew."""

    cause: Literal["drift", "degradation", "schedule", "request"]
    bundle: str = Field(description="The one that is to be replaced.")
    pipeline: Name = "training"
    parameters: dict[str, str] = {}
    event: Name = Field(default="", description="The id of the event that asked for it.")


PREFIX = "io.rampart."
MODELS: dict[str, type[Data]] = {
    f"{PREFIX}message.received.v1": Received,
    f"{PREFIX}message.verdict.v1": Verdict,
    f"{PREFIX}message.deadletter.v1": DeadLetter,
    f"{PREFIX}drift.v1": Drift,
    f"{PREFIX}retraining.v1": Retraining,
}
"""The data of every type of event."""

RECEIVED, VERDICT, DEAD_LETTER, DRIFT, RETRAINING = MODELS


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema (draft 2020-12) of each type's data, by type."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        name: dialect | {"$id": f"urn:{name.replace('.', ':')}"} | model.model_json_schema()
        for name, model in MODELS.items()
    }
