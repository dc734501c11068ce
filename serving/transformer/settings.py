"""What the transformer can be told: by arguments, by RAMPART_* variables, by KServe's own flags."""

from __future__ import annotations

from pydantic import Field

from serving.predictor.settings import ServerSettings


class TransformerSettings(ServerSettings):
    """Settings of one transformer process."""

    predictor_host: str = Field(
        default="127.0.0.1:8081",
        pattern=r"^[A-Za-z0-9._:\[\]-]+$",
        description="Address of the predictor's gRPC; port 80, where KServe has it, if unnamed.",
    )
    predictor_model: str | None = Field(
        default=None, description="The model's name there; the same as here if unset."
    )
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

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - the kubelet's probes come from outside the pod
        description=TransformerSettings.model_fields["host"].description,
    )
