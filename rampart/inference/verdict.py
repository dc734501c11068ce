"""What the engine answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rampart.explain.contributions import Contributions

Explanation = Literal["contributions", "none"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one text.

    Attributes:
        label: the bundle's name for what the text is.
        probability: of a threat, 0 to 1.
        logit: of that probability; `explanation.bias + explanation.value.sum()`, to rounding.
        stage: the model or combination that settled it.
        explanation: the sum behind the logit; with no spans where none was asked for.
        models: the calibrated probability of each model that was asked, by name.
    """

    label: str
    probability: float
    logit: float
    stage: str
    explanation: Contributions
    models: Mapping[str, float] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """The verdict as JSON holds it."""
        parts = self.explanation
        return {
            "label": self.label,
            "probability": self.probability,
            "logit": self.logit,
            "stage": self.stage,
            "models": dict(self.models),
            "bias": parts.bias,
            "contributions": [
                {"start": int(start), "end": int(end), "value": float(value)}
                for start, end, value in zip(parts.start, parts.end, parts.value, strict=True)
            ],
        }
