"""Promoted defaults: parameters of the training pipeline that a study has shown to be better.

They are one tag of the registered model, written in one call: whoever reads them has either the
former ones whole or the new ones whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rampart.errors import RegistryError
from rampart.registry.connection import alone, answers, connect, is_code
from rampart.registry.registry import Registry

_TAG = "rampart.defaults"
Value = str | int | float


class Defaults(BaseModel):
    """What was promoted.

    Attributes:
        parameters: of the training pipeline.
        source: what found them, such as a study.
        promoted_by: who promoted them.
        promoted: when, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Value] = Field(min_length=1)
    source: str
    promoted_by: str
    promoted: datetime


def promote(
    tracking_uri: str,
    parameters: Mapping[str, Value],
    *,
    source: str,
    promoted_by: str = "",
    name: str = "rampart",
) -> Defaults:
    """Make parameters the defaults; those promoted before that they do not name stay.

    Promoted again by the same source, nothing changes, not even the time.

    Args:
        tracking_uri: of MLflow.
        parameters: of the training pipeline.
        source: what found them.
        promoted_by: who promotes them.
        name: the registered model's; it is made if it is not there.

    Raises:
        RegistryError: MLflow fails, or holds what is no such tag.
    """
    registry = Registry(tracking_uri, name=name)
    client = connect(registry.tracking_uri)
    with answers(tracking_uri), alone(tracking_uri):
        standing = _read(client, name)
        before = standing.parameters if standing is not None else {}
        together = {**before, **parameters}
        if standing is not None and together == before and standing.source == source:
            return standing
        defaults = Defaults(
            parameters=together,
            source=source,
            promoted_by=promoted_by,
            promoted=datetime.now(UTC).replace(microsecond=0),
        )
        _make(client, name)
        client.set_registered_model_tag(name, _TAG, defaults.model_dump_json())
        return defaults


def promoted(tracking_uri: str, *, name: str = "rampart") -> Defaults | None:
    """What was promoted last; None before the first time.

    Raises:
        RegistryError: MLflow fails, or holds what is no such tag.
    """
    registry = Registry(tracking_uri, name=name)
    client = connect(registry.tracking_uri)
    with answers(tracking_uri):
        return _read(client, name)


def _read(client: Any, name: str) -> Defaults | None:
    from mlflow.exceptions import MlflowException

    try:
        content = client.get_registered_model(name).tags.get(_TAG)
    except MlflowException as error:
        if is_code(error, "RESOURCE_DOES_NOT_EXIST"):
            return None
        raise
    if content is None:
        return None
    try:
        return Defaults.model_validate(json.loads(content))
    except (ValueError, ValidationError) as error:
        raise RegistryError(
            f"The tag {_TAG} of the registered model {name} cannot be read.",
            "Delete the tag and promote again.",
        ) from error


def _make(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if not is_code(error, "RESOURCE_ALREADY_EXISTS"):
            raise
