"""What a server can be told: by arguments, by RAMPART_* variables, by KServe's own flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rampart.bundle.cache import LIMIT
from rampart.models.base import Device

# Where KServe's storage initializer puts the content of `storageUri`.
KSERVE_MODEL_DIR = Path("/mnt/models")


class ServerSettings(BaseSettings):
    """What every server here can be told; each is read from RAMPART_<NAME> unless it is given."""

    model_config = SettingsConfigDict(env_prefix="RAMPART_", frozen=True, extra="forbid")

    model_name: str = Field(
        default="rampart",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Name in the URLs and in gRPC requests.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 for every one there is."
    )
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="Port of REST; 0 takes a free one."
    )
    grpc_port: int = Field(
        default=8081, ge=0, le=65535, description="Port of gRPC; 0 takes a free one."
    )
    max_texts: int = Field(default=256, ge=1, description="Texts that one request may hold.")
    max_text_bytes: int = Field(
        default=1_000_000, ge=1, description="Bytes that one text may take in UTF-8."
    )
    max_request_bytes: int = Field(
        default=16_000_000, ge=1, description="Bytes that one request's body may take."
    )
    queue: int = Field(
        default=64, ge=1, description="Requests that may wait while another is being answered."
    )
    top_k: int = Field(
        default=10, ge=0, description="Spans in an explanation when the request does not say."
    )
    max_top_k: int = Field(default=100, ge=0, description="The most spans a request may ask for.")
    grace: float = Field(
        default=30.0,
        gt=0,
        description="Seconds given to requests already taken when the server is told to stop.",
    )

    @model_validator(mode="after")
    def _default_is_allowed(self) -> ServerSettings:
        if self.top_k > self.max_top_k:
            raise ValueError(f"top_k {self.top_k} is over max_top_k {self.max_top_k}")
        return self


class AskingSettings(ServerSettings):
    """Settings of a server that asks a predictor over gRPC."""

    predictor_host: str = Field(
        default="127.0.0.1:8081",
        pattern=r"^[A-Za-z0-9._:\[\]-]+$",
        description="Address of the predictor's gRPC; at predictor_port if it names no port.",
    )
    predictor_port: int = Field(
        default=80,
        ge=1,
        le=65535,
        description="Port of the predictor's gRPC, since KServe gives its host alone: 80 where "
        "gRPC is the predictor's only port, else the port of its container.",
    )
    predictor_model: str | None = Field(
        default=None, description="The model's name there; the same as here if unset."
    )

    @property
    def predictor(self) -> str:
        """The predictor's address, with its port."""
        named = self.predictor_host.rpartition("]")[2].count(":") == 1
        return self.predictor_host if named else f"{self.predictor_host}:{self.predictor_port}"

    @property
    def asked(self) -> str:
        """The model's name at the predictor."""
        return self.predictor_model or self.model_name


EVERY_ADDRESS: Any = Field(
    default="0.0.0.0",  # noqa: S104 - the kubelet's probes come from outside the pod
    description=ServerSettings.model_fields["host"].description,
)
"""The host of a server in an image, where only the pod's own network can reach it."""


class PredictorSettings(ServerSettings):
    """Settings of one predictor process."""

    bundle: str = Field(
        default=str(KSERVE_MODEL_DIR),
        min_length=1,
        description="Folder of the model bundle; or of several, each in a folder that has the "
        "model's name; or the address of one, such as s3://bucket/bundle.",
    )
    model_control: bool = Field(
        default=False,
        description="Whether clients may load and unload models (V2's repository API).",
    )
    reload_seconds: float = Field(
        default=0.0,
        ge=0,
        description="Seconds between looks for a new bundle in the place of the old; 0 for none. "
        "SIGHUP makes it look at once.",
    )
    model_cache: Path | None = Field(
        default=None,
        description="Folder for fetched bundles, and for graphs as this machine computes them; "
        "the user's cache folder if unset.",
    )
    model_cache_bytes: int = Field(
        default=LIMIT, ge=0, description="The most that it may hold; 0 keeps nothing."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads that each model computes with; all cores if unset."
    )
    device: Device = Field(
        default="auto",
        description="What the encoder computes on: cpu, cuda, or auto, which is the GPU where "
        "there is one that ONNX Runtime can use.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that answer, each with the whole server; see docs/serving.md.",
    )
    batch_tokens: int = Field(
        default=4_096,
        ge=1,
        description="Tokens, about, that are scored in one go where requests wait.",
    )
    cache_bytes: int = Field(
        default=64_000_000,
        ge=0,
        description="Memory for verdicts on texts that may come again; 0 keeps none.",
    )
    cascade: bool = Field(
        default=True,
        description="Whether texts may be settled before all models are asked, where the bundle "
        "says that this is safe.",
    )

    @model_validator(mode="after")
    def _one_worker_is_controlled(self) -> PredictorSettings:
        if self.model_control and self.workers > 1:
            raise ValueError(
                "model_control reaches one worker only; send SIGHUP or set reload_seconds instead"
            )
        return self


class ContainerSettings(PredictorSettings):
    """The same in an image, where only the pod's own network can reach it."""

    host: str = EVERY_ADDRESS
