"""Voting: the mean of calibrated logits, with weights or without.

The mean of logits rather than of probabilities, because it keeps the sum that explains the
verdict. Votes that are counted and probabilities that are averaged are no such sum: they are here
for comparison, and `make benchmark-quality` measures all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rampart.ensembles.base import Ensemble, Stage, calibrated
from rampart.errors import InputError
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration, fit_platt

NAME = "voting"
SOFT = "soft voting"
WEIGHED = "weighed voting"
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
    return _shared(NAME, shares, logits, calibrations, labels)


def fit_soft_voting(
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
) -> Ensemble:
    """The mean of calibrated logits with the same share for each model; as `fit_voting`."""
    shares = dict.fromkeys(logits, 1.0 / len(logits))
    return _shared(SOFT, shares, logits, calibrations, labels)


def fit_weighed_voting(
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
    *,
    shares: Mapping[str, float],
) -> Ensemble:
    """The mean of calibrated logits with given shares; models without one are not asked.

    Raises:
        InputError: a share is of a model that there is not, or none is above 0.
    """
    if unknown := sorted(set(shares) - set(logits)):
        raise InputError(
            f"There is no model {unknown[0]!r} to give a share of the vote.",
            f"Choose from {', '.join(logits)}.",
        )
    total = sum(shares.values())
    if min(shares.values(), default=0.0) < 0 or not total > 0:
        raise InputError(
            f"{dict(shares)} are no shares of a vote.", "Give numbers from 0 up, one above it."
        )
    asked = {name: share / total for name, share in shares.items() if share}
    known = {name: logits[name] for name in logits if name in asked}
    return _shared(WEIGHED, asked, known, calibrations, labels)


def hard_vote(probabilities: Mapping[str, Floats], thresholds: Mapping[str, float]) -> Floats:
    """Share of the models that call each text a threat, float64 [n], each at its own threshold."""
    votes = [values >= thresholds[name] for name, values in probabilities.items()]
    share: Floats = np.mean(votes, axis=0, dtype=np.float64)
    return share


def mean_of_probabilities(probabilities: Mapping[str, Floats]) -> Floats:
    """Each text's mean probability, float64 [n]."""
    mean: Floats = np.mean(list(probabilities.values()), axis=0, dtype=np.float64)
    return mean


def _shared(
    name: str,
    shares: Mapping[str, float],
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
) -> Ensemble:
    weights = {model: shares[model] * calibrations[model].scale for model in logits}
    shift = sum(shares[model] * calibrations[model].shift for model in logits)
    stage = Stage(name=name, weights=weights, intercept=shift)
    return Ensemble(kind=name, stages=(calibrated(stage, logits, labels),))


def _log_loss(logit: Floats, labels: NDArray[np.int8]) -> float:
    """Mean log loss after the best Platt scaling, so that only the ranking of shares counts."""
    calibrated = fit_platt(logit, labels)(logit)
    probability = np.clip(sigmoid(calibrated), 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(labels == 1, np.log(probability), np.log1p(-probability))))
