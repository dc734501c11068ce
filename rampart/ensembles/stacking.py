"""Stacking: logistic regression on the models' logits of texts that they were not fitted on.

Source: Wolpert, "Stacked generalization", 1992. It is linear in the logits, so its logit is a sum
as theirs are. The logits have to be out of fold, with whole campaigns in a fold
(`rampart.training.folds`): else it trusts most the model that remembers most.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rampart.ensembles.base import Ensemble, Stage, calibrated
from rampart.errors import TrainingError
from rampart.models.base import Floats
from rampart.models.calibration import fit_logistic

NAME = "stacking"


def fit_stacking(
    out_of_fold: Mapping[str, Floats],
    labels: NDArray[np.int8],
    validation: Mapping[str, Floats],
    validation_labels: NDArray[np.int8],
    *,
    ridge: float = 1e-3,
) -> Ensemble:
    """Weigh the models by their out-of-fold logits and calibrate on validation.

    Args:
        out_of_fold: each model's raw logits of the training texts, [n], from fits without them.
        labels: of the training texts, 0 and 1, [n].
        validation: raw logits of the models that will be served, [m].
        validation_labels: 0 and 1, [m].
        ridge: penalty on the squared weights of logits brought to a spread of one.

    Raises:
        TrainingError: no model is given, a class is missing or a logit is not finite.
    """
    if not out_of_fold or set(out_of_fold) != set(validation):
        raise TrainingError(
            f"Out of fold there are {sorted(out_of_fold)}, on validation {sorted(validation)}.",
            "Give the logits of the same models for both.",
        )
    if len(set(labels.tolist())) < 2:
        raise TrainingError("Stacking needs training texts of both classes.")
    columns = np.stack(list(out_of_fold.values()))
    if not np.isfinite(columns).all():
        raise TrainingError("An out-of-fold logit is not finite.", "Train that model again.")
    spread = columns.std(axis=1)
    spread[spread == 0.0] = 1.0
    *weights, intercept = fit_logistic(
        columns / spread[:, None], labels.astype(np.float64), ridge=ridge
    ).tolist()
    scaled = {
        name: weight / float(size)
        for name, weight, size in zip(out_of_fold, weights, spread, strict=True)
    }
    stage = Stage(name=NAME, weights=scaled, intercept=intercept)
    return Ensemble(kind=NAME, stages=(calibrated(stage, validation, validation_labels),))
