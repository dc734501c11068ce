"""What every ensemble is: stages, each a linear combination of logits.

A combination that is linear in logits that are sums is itself a sum, so the explanation of the
models is the explanation of the ensemble. Voting and stacking are one stage; a cascade is several,
of which each settles what it is sure of and hands on the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration, fit_platt


class Stage(BaseModel):
    """One linear combination of the models' logits.

    Attributes:
        name: what a verdict that was settled here says.
        weights: model name to weight; the models that have to have answered.
        intercept: added to the weighted sum.
        unsure: probabilities from the one to the other go on to the next stage; None settles all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    weights: dict[str, float] = Field(min_length=1)
    intercept: float = 0.0
    unsure: tuple[float, float] | None = None

    @field_validator("unsure")
    @classmethod
    def _unsure_is_a_band(cls, unsure: tuple[float, float] | None) -> tuple[float, float] | None:
        if unsure is not None and not 0.0 <= unsure[0] <= unsure[1] <= 1.0:
            raise ValueError(f"{unsure} is no band of probabilities, from the lower to the higher")
        return unsure

    def combine(self, logits: Mapping[str, Floats]) -> Floats:
        """The stage's logits from those of its models."""
        parts = [weight * logits[model] for model, weight in self.weights.items()]
        return self.intercept + sum(parts[1:], start=parts[0])

    def sure(self, logit: Floats, threshold: float) -> NDArray[np.bool_]:
        """Which of its own logits settle their texts, bool [n].

        The band reaches to the decision threshold, wherever that was put: else a text would be
        settled on one side of it though this stage was only sure of the other.
        """
        if self.unsure is None:
            return np.ones(len(logit), dtype=bool)
        probability = sigmoid(logit)
        low, high = min(self.unsure[0], threshold), max(self.unsure[1], threshold)
        sure: NDArray[np.bool_] = (probability < low) | (probability > high)
        return sure


def calibrated(stage: Stage, logits: Mapping[str, Floats], labels: NDArray[np.int8]) -> Stage:
    """A stage with its Platt scaling on held-out logits folded into its weights."""
    final = fit_platt(stage.combine(logits), labels)
    weights = {name: final.scale * weight for name, weight in stage.weights.items()}
    intercept = final.scale * stage.intercept + final.shift
    return stage.model_copy(update={"weights": weights, "intercept": intercept})


class Ensemble(BaseModel):
    """The stages in the order in which they are asked; the last one settles all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _last_settles(self) -> Ensemble:
        if self.stages[-1].unsure is not None:
            raise ValueError(f"the last stage, {self.stages[-1].name}, has to settle what is left")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models it needs, in the order in which they are first asked."""
        return tuple(dict.fromkeys(model for stage in self.stages for model in stage.weights))


# Makes an ensemble of each model's raw logits on the validation split, [n], each model's own
# calibration, and the split's labels, 0 and 1, [n].
Combine = Callable[
    [Mapping[str, Floats], Mapping[str, Calibration], NDArray[np.int8]],
    Ensemble,
]
