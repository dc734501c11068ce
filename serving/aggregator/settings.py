"""What the aggregator can be told: by arguments, by RAMPART_* variables, by KServe's own flags."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from serving.predictor.settings import EVERY_ADDRESS, ServerSettings

VOTING: Literal["voting"] = "voting"
WEIGHTED: Literal["weighted"] = "weighted"
STACKING: Literal["stacking"] = "stacking"


def _weights(given: object) -> object:
    """Weights as one string, "ngram=0.7,encoder=0.3"; anything else is left to pydantic."""
    if not isinstance(given, str):
        return given
    pairs = [pair.partition("=") for pair in given.split(",") if pair.strip()]
    return {name.strip(): weight.strip() for name, _, weight in pairs}


class AggregatorSettings(ServerSettings):
    """Settings of one aggregator process."""

    method: Literal["voting", "weighted", "stacking"] = Field(
        default=VOTING,
        description="How answers become one: voting counts labels; weighted takes the mean of "
        "logits by weight; stacking adds weighted logits and an intercept.",
    )
    weights: Annotated[dict[str, float], NoDecode] = Field(
        default_factory=dict,
        description="Of each step, such as ngram=0.7,encoder=0.3; all alike if unset.",
    )
    intercept: float = Field(default=0.0, description="What stacking adds.")
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="Probability from which a text is a threat."
    )
    missing: Literal["refuse", "ignore"] = Field(
        default="refuse",
        description="What to do where a step has failed: refuse the request, or do without it.",
    )
    labels: str = Field(
        default="ham,spam",
        pattern=r"^[^,]+,[^,]+$",
        description="The harmless label and the threat, where no step says its own.",
    )

    _read_weights = field_validator("weights", mode="before")(_weights)

    @model_validator(mode="after")
    def _weights_fit(self) -> AggregatorSettings:
        if self.method == STACKING and not self.weights:
            raise ValueError("stacking needs weights")
        if self.method == STACKING and self.missing == "ignore":
            raise ValueError("stacking cannot do without a step: its weights hold together only")
        if (
            self.method == WEIGHTED
            and self.weights
            and (min(self.weights.values()) < 0 or sum(self.weights.values()) <= 0)
        ):
            raise ValueError("weights of a mean are 0 or more, and not all 0")
        return self


class ContainerSettings(AggregatorSettings):
    """The same in an image, where only the pod's own network can reach it."""

    host: str = EVERY_ADDRESS
