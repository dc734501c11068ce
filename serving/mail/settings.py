"""What the ways in for mail can be told: by arguments, or by RAMPART_STREAM_* variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from serving.stream.settings import BrokerSettings


class MailSettings(BrokerSettings):
    """What both ways in have."""

    category: str = Field(
        default="", max_length=256, description="Given to each mail, for figures to tell apart."
    )
    max_mail_bytes: int = Field(
        default=1_000_000,
        ge=1_000,
        description="Bytes that a mail may have. As an event it takes a third more, which the "
        "broker's topic has to allow.",
    )
    deliver_seconds: float = Field(
        default=20.0, gt=0, description="Seconds that the broker has to take a mail."
    )


class SmtpSettings(MailSettings):
    """Settings of the server."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8025, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    max_recipients: int = Field(default=100, ge=1, description="Of one mail.")
    connections: int = Field(default=100, ge=1, description="At once.")
    tls_certificate: Path | None = Field(
        default=None, description="Certificate for STARTTLS; none is offered if unset."
    )
    tls_key: Path | None = Field(default=None, description="Its key.")


class FolderSettings(MailSettings):
    """Settings of the watcher."""

    folder: Path = Field(description="Where mails are put, one file each, names ending in .eml.")
    every_seconds: float = Field(default=1.0, gt=0, description="Between two looks.")
