"""What the scorer of streams can be told: by arguments, or by RAMPART_STREAM_* variables."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rampart.streaming.connection import Connection, Topics
from rampart.streaming.letters import Retries
from rampart.streaming.outcomes import Limits


class BrokerSettings(BaseSettings):
    """How the broker is reached; each is read from RAMPART_STREAM_<NAME> unless it is given."""

    model_config = SettingsConfigDict(
        env_prefix="RAMPART_STREAM_", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    broker: str = Field(
        default="127.0.0.1:9092", min_length=1, description="Addresses of the broker, by commas."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificate of the authority that the broker's is by."
    )
    certificate_file: Path | None = Field(default=None, description="Own certificate, for TLS.")
    key_file: Path | None = Field(default=None, description="Its key.")
    username: str | None = Field(default=None, description="User's name, for SCRAM over TLS.")
    password: SecretStr | None = Field(default=None, description="Its password.")
    topics: str = Field(
        default="mail",
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,100}[a-z0-9])?$",
        description="What the topics' names begin with: mail-received, mail-verdicts, and so on.",
    )
    retries: int = Field(
        default=3, ge=0, le=10, description="Topics for retries: times that a message comes again."
    )

    @model_validator(mode="after")
    def _reachable(self) -> BrokerSettings:
        self.connection()
        return self

    def connection(self) -> Connection:
        """The cluster, and who asks."""
        return Connection(
            bootstrap=self.broker,
            ca_file=self.ca_file,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            username=self.username,
            password=self.password,
        )

    def names(self) -> Topics:
        """The topics' names."""
        return Topics.of(self.topics, self.retries)


class StreamSettings(BrokerSettings):
    """Settings of one scorer."""

    source: Literal["kafka", "http"] = Field(
        default="kafka",
        description="Where events come from: Kafka, or HTTP as Knative sends them.",
    )
    bundle: str = Field(
        default="",
        description="Folder or address of the bundle that scores; else a predictor is asked.",
    )
    model_cache: Path | None = Field(
        default=None,
        description="Folder for fetched bundles, and for graphs as this machine computes them; "
        "the user's cache folder if unset.",
    )
    predictor: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._:\[\]-]*$",
        description="Address of the predictor's gRPC, with its port, in the bundle's place.",
    )
    predictor_model: str = Field(default="rampart", description="The model's name there.")
    predictor_seconds: float = Field(
        default=10.0, gt=0, description="Seconds that one call to it may take."
    )
    group: str = Field(default="rampart-scorer", min_length=1, description="Consumer group.")
    guarantee: Literal["at-least-once", "exactly-once"] = Field(
        default="at-least-once",
        description="Of verdicts: nothing lost, or nothing lost and nothing twice.",
    )
    identity: str = Field(
        default_factory=lambda: f"rampart-scorer-{socket.gethostname()}-{os.getpid()}",
        min_length=1,
        description="Transactional id, of this process alone; by default with the host's name and "
        "the process' id.",
    )
    retry_seconds: float = Field(
        default=5.0, gt=0, description="Seconds until a message comes again the first time."
    )
    retry_factor: float = Field(
        default=6.0, ge=1, description="By which the wait grows with each time."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads that each model computes with; all cores if unset."
    )
    cascade: bool = Field(
        default=True,
        description="Whether texts may be settled early, where the bundle says that this is safe.",
    )
    top_k: int = Field(default=10, ge=0, le=100, description="Spans in an explanation.")
    calls: int = Field(
        default=64, ge=1, description="Calls that may be unanswered at once; a predictor gets 4."
    )
    call_texts: int = Field(
        default=32, ge=1, le=256, description="Texts of one call to a predictor."
    )
    batch_tokens: int = Field(
        default=4_096, ge=1, description="Tokens, about, that are scored in one go."
    )
    batch_seconds: float = Field(
        default=0.005,
        ge=0,
        description="Seconds that the first of a call to a predictor waits for others.",
    )
    max_records: int = Field(default=2_000, ge=1, description="Records held at once, about.")
    max_bytes: int = Field(
        default=64_000_000, ge=1, description="Memory that they may take, about."
    )
    max_text_bytes: int = Field(
        default=1_000_000, ge=1, description="Bytes that one text may take in UTF-8."
    )
    max_event_bytes: int = Field(
        default=2_000_000, ge=1, description="Bytes that an event may take over HTTP."
    )
    handover: float = Field(
        default=20.0,
        gt=0,
        description="Seconds for what is under way when a partition goes to another, or at the "
        "end.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address of probes, metrics and events over HTTP."
    )
    http_port: int = Field(
        default=8110, ge=0, le=65535, description="Its port; 0 takes a free one."
    )

    @model_validator(mode="after")
    def _one_computes(self) -> StreamSettings:
        if bool(self.bundle) == bool(self.predictor):
            raise ValueError("name a bundle or a predictor, and not both")
        return self

    def limits(self) -> Limits:
        """What is held and taken."""
        return Limits(
            records=self.max_records,
            bytes=self.max_bytes,
            max_text_bytes=self.max_text_bytes,
            tokens=self.batch_tokens,
            seconds=self.batch_seconds,
            handover=self.handover,
        )

    def waits(self) -> Retries:
        """When a message comes again."""
        return Retries.doubling(self.names(), self.retry_seconds, self.retry_factor)


class AnalyticsSettings(BrokerSettings):
    """Settings of the analytics' process."""

    analytics_group: str = Field(
        default="rampart-analytics",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Consumer group; the topics of its state have its name.",
    )
    state: Path = Field(
        default=Path("build/stream/state"), description="Folder of what survives a restart."
    )
    table: Path | None = Field(
        default=None,
        description="Folder of Parquet files, one row for each verdict; none if unset.",
    )
    tumbling_seconds: float = Field(
        default=60.0, gt=0, description="Length of windows side by side."
    )
    sliding_seconds: float = Field(
        default=3_600.0, gt=0, description="Length of windows that overlap."
    )
    step_seconds: float = Field(
        default=300.0,
        gt=0,
        description="From one of those to the next; a window that overlaps is so many of them.",
    )
    lateness_seconds: float = Field(
        default=600.0,
        ge=0,
        description="Seconds that a message may come after its window's end. A backlog that is "
        "read at speed needs more, because partitions do not come on evenly.",
    )
    commit_seconds: float = Field(
        default=2.0, gt=0, description="Between two marks: so long a result may wait."
    )
    host: str = Field(default="127.0.0.1", description="Address of probes and metrics.")
    http_port: int = Field(
        default=8111, ge=0, le=65535, description="Its port; 0 takes a free one."
    )

    @model_validator(mode="after")
    def _whole_steps(self) -> AnalyticsSettings:
        steps = self.sliding_seconds / self.step_seconds
        if abs(steps - round(steps)) > 1e-9 or steps < 1:
            raise ValueError("sliding seconds are no multiple of step seconds")
        return self
