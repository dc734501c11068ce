"""What the control API can be told: by arguments, or by RAMPART_CONTROL_* variables."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_SHORTEST_TOKEN = 16
_REMEDY = "set RAMPART_CONTROL_TOKEN, _TOKEN_FILE or _MESH_HEADER, or listen on 127.0.0.1"


class ControlSettings(BaseSettings):
    """Each is read from RAMPART_CONTROL_<NAME> unless it is given."""

    model_config = SettingsConfigDict(
        env_prefix="RAMPART_CONTROL_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0 for every one there is."
    )
    port: int = Field(default=8100, ge=0, le=65535, description="Port; 0 takes a free one.")
    token: SecretStr | None = Field(
        default=None,
        description="Bearer token that callers have to send, of 16 characters or more.",
    )
    token_file: Path | None = Field(
        default=None, description="File that the token is in, such as a mounted secret."
    )
    mesh_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header in which the mesh says who calls, such as kubeflow-userid. It is "
        "believed: set it only where nothing but the mesh's gateway reaches this port.",
    )
    storage: str | None = Field(
        default=None,
        description="Optuna's storage, as an address; sqlite in the root folder if unset.",
    )
    tracking_uri: str | None = Field(
        default=None,
        description="MLflow's address; a sqlite file in the root folder if unset.",
    )
    model_name: str = Field(
        default="rampart",
        pattern=r"^\w[\w .\-]*$",
        description="The registered model whose versions and defaults these are.",
    )
    root: Path = Field(
        default=Path("build/pipeline"),
        description="Folder of runs on this machine, their cache and their outputs.",
    )
    data: Path | None = Field(
        default=None,
        description="Folder that the files which runs read have to lie in; anywhere if unset.",
    )
    addresses: str = Field(
        default="",
        description="Addresses that runs may read and what is below them, with commas, such as "
        "s3://mails/2026; none if unset.",
    )
    operator: Annotated[dict[str, dict[str, str]], NoDecode] = Field(
        default_factory=dict,
        description="Parameters of each pipeline that are not the callers' to give, as JSON, such "
        'as {"deployment": {"destination": "s3://mails/bundles"}}.',
    )
    kfp_endpoint: str | None = Field(
        default=None,
        description="Kubeflow Pipelines' address: training runs and studies go there, not into "
        "processes here.",
    )
    kfp_namespace: str | None = Field(
        default=None, description="Namespace of runs, where Kubeflow has profiles."
    )
    kfp_token_file: Path | None = Field(
        default=None, description="File with the bearer token for Kubeflow Pipelines."
    )
    kfp_service_account: str | None = Field(
        default=None, description="Account that steps in the cluster run as."
    )
    max_runs: int = Field(
        default=16, ge=1, description="Runs that may wait or run at once; more are refused."
    )
    max_streams: int = Field(
        default=64, ge=1, description="Streams of events at once; more are refused."
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1, description="Bytes that a request's body may take."
    )
    heartbeat: float = Field(
        default=15.0, gt=0, description="Seconds after which a silent stream of events says so."
    )

    @field_validator("operator", mode="before")
    @classmethod
    def _from_json(cls, given: Any) -> Any:
        return json.loads(given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _somebody_is_asked(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set; set one")
        if self.token is not None and not _usable(self.token.get_secret_value()):
            raise ValueError(
                f"the token has to have {_SHORTEST_TOKEN} printable characters or more, no spaces"
            )
        if not self.authenticates and not on_loopback(self.host):
            raise ValueError(
                f"on {self.host} everybody could start runs without authentication; {_REMEDY}"
            )
        return self

    @property
    def authenticates(self) -> bool:
        """Whether callers have to say who they are."""
        return any(value is not None for value in (self.token, self.token_file, self.mesh_header))


def on_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, which no other reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secret(path: Path, what: str) -> str:
    """The token in a file.

    Raises:
        InputError: there is none, or it is too short to be one.
    """
    from rampart.errors import InputError

    try:
        said = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{what} cannot be read from {path}: {error}.", "Mount or write the file."
        ) from error
    if not _usable(said):
        raise InputError(
            f"{what} in {path} is no token.",
            f"Write {_SHORTEST_TOKEN} printable characters or more, without spaces.",
        )
    return said


def _usable(token: str) -> bool:
    return len(token) >= _SHORTEST_TOKEN and all("!" <= sign <= "~" for sign in token)
