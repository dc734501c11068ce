"""Weighted voting: the mean of calibrated logits.

The mean of logits rather than of probabilities, because it keeps the sum that explains the
verdict; `make benchmark-quality` measures both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rampart.ensembles.base import Ensemble, Stage, calibrated
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration, fit_platt

NAME = "voting"
_SHARES = np.linspace(0.0, 1.0, 21)


def fit_voting(
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
) -> Ensemble:
    """Choose weights on the validation split by log loss, then calibrate the mean.

    Args:
        logits: each model's raw logits, [n].
        calibrations: each model's own calibration.
        labels: 0 and 1, [n].

    Models join one after the other, in the order given, each with the share of the vote that does
    best. The calibration of the mean is folded into the weights.
    """
    names = list(logits)
    shares = {names[0]: 1.0}
    mean = calibrations[names[0]](logits[names[0]])
    for name in names[1:]:
        joining = calibrations[name](logits[name])
        losses = [_log_loss((1 - share) * mean + share * joining, labels) for share in _SHARES]
        share = float(_SHARES[int(np.argmin(losses))])
        mean = (1 - share) * mean + share * joining
        shares = {other: part * (1 - share) for other, part in shares.items()} | {name: share}
    weights = {name: shares[name] * calibrations[name].scale for name in names}
    shift = sum(shares[name] * calibrations[name].shift for name in names)
    stage = Stage(name=NAME, weights=weights, intercept=shift)
    return Ensemble(kind=NAME, stages=(calibrated(stage, logits, labels),))


def _log_loss(logit: Floats, labels: NDArray[np.int8]) -> float:
    """Mean log loss after the best Platt scaling, so that only the ranking of shares counts."""
    calibrated = fit_platt(logit, labels)(logit)
    probability = np.clip(sigmoid(calibrated), 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(labels == 1, np.log(probability), np.log1p(-probability))))
