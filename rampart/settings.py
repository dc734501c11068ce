"""What the environment can tell Rampart, read in one place; library functions take arguments.

The predictor's own settings are in `serving.predictor.settings`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rampart.errors import InputError

S = TypeVar("S", bound=BaseSettings)


class Settings(BaseSettings):
    """Each is read from RAMPART_<NAME>."""

    # Empty is unset: RAMPART_CACHE_DIR= is not the current folder, and hides no other variable.
    model_config = SettingsConfigDict(
        env_prefix="RAMPART_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    cache_dir: Path | None = Field(
        default=None, description="Folder for the fetched corpus; the user's cache folder if unset."
    )
    tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("RAMPART_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="MLflow's address; a sqlite file in the pipeline's folder if unset.",
    )
    kfp_endpoint: str | None = Field(
        default=None, description="Kubeflow Pipelines' address, for `rampart pipeline submit`."
    )
    kfp_namespace: str | None = Field(
        default=None, description="Namespace of runs, where Kubeflow has profiles."
    )
    kfp_token: str | None = Field(
        default=None,
        pattern=r"^[\x21-\x7e]+$",  # An HTTP header takes no more: no line end from a file.
        repr=False,
        description="Bearer token for Kubeflow Pipelines, in printable ASCII without spaces.",
    )


def checked(kind: type[S], **given: Any) -> S:
    """Settings with what was given; None is what the environment or the default says.

    Raises:
        InputError: one of them cannot be used; it is named.
    """
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "The settings"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{where} cannot be used: {message}.", "See --help.") from None


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        InputError: a variable holds what it may not.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        name = name if name.isupper() else f"RAMPART_{name.upper()}"
        raise InputError(
            f"{name} cannot be used: {first['msg']}.", "Correct or unset it."
        ) from None


def user_cache() -> Path:
    """Where Rampart keeps what it fetches and makes, if nobody names a folder."""
    from platformdirs import user_cache_path

    return user_cache_path("rampart")


def tracking_address(given: str) -> str:
    """The tracking address that was given, else the environment's.

    Raises:
        InputError: there is neither.
    """
    address = given or settings().tracking_uri
    if not address:
        raise InputError(
            "There is no address of MLflow.",
            "Give the pipeline's tracking_uri, or set MLFLOW_TRACKING_URI.",
        )
    return address
