"""What the transformer can be told: by arguments, by RAMPART_* variables, by KServe's own flags."""

from __future__ import annotations

from pydantic import Field

from serving.predictor.settings import EVERY_ADDRESS, AskingSettings


class TransformerSettings(AskingSettings):
    """Settings of one transformer process."""

    deadline: float = Field(
        default=30.0,
        gt=0,
        description="Seconds that the predictor may take, where the client gives it no less.",
    )
    max_text_bytes: int = Field(
        default=10_000_000, ge=1, description="Bytes that one mail may take, attachments included."
    )
    max_request_bytes: int = Field(
        default=64_000_000, ge=1, description="Bytes that one request's body may take."
    )


class ContainerSettings(TransformerSettings):
    """The same in an image, where only the pod's own network can reach it."""

    host: str = EVERY_ADDRESS
