"""The methods by name, and how an attribution becomes contributions that sum to the logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rampart.explain.attribution import Attribution, Budget, Score
from rampart.explain.contributions import Contributions
from rampart.explain.lime_values import lime_values
from rampart.explain.occlusion import occlusion
from rampart.explain.shap_values import shap_values
from rampart.models.base import Floats
from serving.predictor.codec.request import Effort


class Method(Protocol):
    """Explains one text."""

    def __call__(self, score: Score, text: str, effort: Effort, batch: int) -> Attribution:
        """Explain a text by the predictor's logits of it with words left out."""


def _budget(effort: Effort) -> Budget:
    return Budget(effort.evaluations, effort.seconds)


def _shap(score: Score, text: str, effort: Effort, batch: int) -> Attribution:
    return shap_values(score, text, budget=_budget(effort), seed=effort.seed, batch=batch)


def _lime(score: Score, text: str, effort: Effort, batch: int) -> Attribution:
    samples = max(1, effort.evaluations - 1)
    return lime_values(
        score, text, budget=_budget(effort), seed=effort.seed, samples=samples, batch=batch
    )


def _occlusion(score: Score, text: str, effort: Effort, batch: int) -> Attribution:
    return occlusion(score, text, budget=_budget(effort), batch=batch)


METHODS: dict[str, Method] = {"shap": _shap, "lime": _lime, "occlusion": _occlusion}


def warm_up() -> None:
    """Explain a text by every method, so that the first request does not wait for their imports."""

    def by_length(texts: Sequence[str]) -> Floats:
        return np.array([float(len(text)) for text in texts])

    for method in METHODS.values():
        method(by_length, "Two words", Effort(evaluations=10, seconds=60.0), batch=4)


def strongest(attribution: Attribution, logit: float, top_k: int) -> Contributions:
    """The `top_k` strongest spans; what the rest and the method leave of the logit is the bias."""
    strength = np.abs(attribution.value)
    order = np.argsort(-strength, kind="stable")[:top_k]
    order = order[strength[order] > 0]
    value = attribution.value[order]
    bias = logit - float(value.sum())
    return Contributions(attribution.start[order], attribution.end[order], value, bias)
