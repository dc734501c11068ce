"""From what was asked to a pipeline's arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipelines import catalogue
from rampart.errors import DataError, InputError, PipelineError, SourceError
from serving.control.studies import StudyOrder


def pipeline_arguments(
    name: str, values: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """A pipeline's arguments, each as its type.

    Args:
        name: of the pipeline.
        values: what it is given where it has such a parameter.
        given: what was asked, which it has to have.

    Raises:
        InputError: there is no such pipeline or parameter, or a value is not of its type.
    """
    try:
        fitting = {parameter.name for parameter in catalogue.parameters(name)}
        ours = {key: value for key, value in values.items() if key in fitting}
        theirs = {key: _said(value) for key, value in given.items()}
        checked = catalogue.arguments(name, ours | theirs)
    except PipelineError as error:
        raise InputError(error.problem, error.remedy) from None
    for key, value in checked.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{key} is {value}, no finite number.", "Correct the value.")
    return checked


def data_fingerprint(uri: str) -> str:
    """Of what a training run reads, so that changed content is read again.

    Raises:
        InputError: it cannot be read.
    """
    from rampart.data.sources import fingerprint

    try:
        return fingerprint(uri)
    except (DataError, SourceError) as error:
        raise InputError(error.problem, error.remedy) from None


def _said(value: Any) -> str:
    """A value as `rampart pipeline run --set` would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    return str(value)


def tuning_arguments(asked: StudyOrder, tracking_uri: str) -> dict[str, Any]:
    """The tuning pipeline's arguments, as far as it has them.

    Its steps know the storage from their environment, since everybody sees a run's arguments.

    Raises:
        InputError: there is no tuning pipeline here, or it has no parameter for what was asked.
    """
    try:
        taken = {parameter.name: parameter for parameter in catalogue.parameters("tuning")}
    except PipelineError as error:
        raise InputError(error.problem, "Studies in a cluster need the tuning pipeline.") from None
    # The pipeline's own defaults are others: what is left out here says so there too.
    given = asked.model_dump(mode="json") | {"tracking_uri": tracking_uri}
    given["trials"] = asked.trials or 0
    given = {name: value for name, value in given.items() if value not in (None, [], {}, "")}
    given["study"] = given.pop("name")
    given["uri"] = given.pop("table")
    if missing := [name for name in given if name not in taken]:
        raise InputError(
            f"The tuning pipeline has no parameter for {', '.join(missing)}.",
            f"It has {', '.join(taken)}.",
        )
    return catalogue.arguments("tuning", {name: _said(value) for name, value in given.items()})
