"""Platt scaling: the linear map of a logit after which it can be read as a probability.

Being linear, it keeps a logit that is a sum a sum. Source: Platt, "Probabilistic outputs for
support vector machines", 1999, with his smoothed targets, so that a validation split that is
parted without an error does not ask for an infinite scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.errors import TrainingError
from rampart.models.base import Floats, sigmoid


class Calibration(BaseModel):
    """`scale * logit + shift`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, logit: Floats) -> Floats:
        """Calibrated logits."""
        return self.scale * logit + self.shift


def fit_platt(logit: Floats, labels: NDArray[np.int8]) -> Calibration:
    """Fit on held-out logits and labels 0 and 1, both [n].

    Raises:
        TrainingError: a class is missing, a logit is not finite, or higher logits do not go with
            the higher class.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise TrainingError(
            f"Calibration needs both classes and got {negatives} of 0 and {positives} of 1.",
            "Give a validation split that holds both.",
        )
    if not np.isfinite(logit).all():
        raise TrainingError(
            f"{int((~np.isfinite(logit)).sum())} of the {len(logit)} logits are not finite.",
            "Train the model again, with a lower learning rate if it is the encoder.",
        )
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    spread = float(logit.std()) or 1.0
    scale, shift = fit_logistic((logit / spread)[None], target).tolist()
    if scale <= 0:
        raise TrainingError(
            f"The model does not rank threats above harmless texts (scale {scale:.3g}).",
            "Look at the labels: 1 has to be the threat.",
        )
    return Calibration(scale=scale / spread, shift=shift)


def fit_logistic(columns: Floats, target: Floats, *, ridge: float = 0.0) -> Floats:
    """Logistic regression by damped Newton steps.

    Args:
        columns: what it regresses on, [d, n].
        target: probabilities, [n].
        ridge: penalty on the squared coefficients, for each text; the intercept has none.

    Returns:
        d coefficients and the intercept.
    """
    design = np.vstack([columns, np.ones(columns.shape[1])])
    beta = np.zeros(len(design))
    penalty = ridge * design.shape[1] * np.append(np.ones(len(columns)), 0.0)

    def loss(at: Floats) -> float:
        score = at @ design
        fit = np.sum(np.logaddexp(0.0, score) - target * score)
        return float(fit + 0.5 * penalty @ at**2)

    for _ in range(100):
        probability = sigmoid(beta @ design)
        gradient = design @ (probability - target) + penalty * beta
        curvature = (design * (probability * (1 - probability))) @ design.T
        step = np.linalg.solve(curvature + np.diag(penalty + 1e-9), gradient)
        size = 1.0
        while loss(beta - size * step) > loss(beta) and size > 1e-6:
            size /= 2
        beta = beta - size * step
        if np.abs(size * step).max() < 1e-8:
            break
    return beta
