"""Logits of texts by models that were fitted without them, or anything like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.models.base import Floats, Model

Fit = Callable[[Labelled], Model]


def campaign_folds(train: Labelled, folds: int, *, seed: int = 0) -> NDArray[np.int64]:
    """The fold of each text, int64 [n]: a campaign is in one, and classes have like shares in all.

    Raises:
        TrainingError: a class has fewer campaigns than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(train.texts)
    names = np.array(train.campaigns or range(count), dtype=object)
    _, campaign = np.unique(names.astype(str), return_inverse=True)
    fewest = min(len(set(campaign[train.labels == label].tolist())) for label in (0, 1))
    if fewest < folds:
        raise TrainingError(
            f"One class has {fewest} campaigns, too few for {folds} folds.",
            "Give more texts, or ask for fewer folds.",
        )
    fold = np.zeros(count, dtype=np.int64)
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(parts.split(campaign, train.labels, campaign)):
        fold[held] = number
    return fold


def out_of_fold(train: Labelled, fit: Fit, fold: NDArray[np.int64]) -> Floats:
    """Each text's logit by the model fitted on the other folds, float64 [n]."""
    logits = np.zeros(len(fold))
    texts = train.aligned()
    for number in np.unique(fold):
        held = np.flatnonzero(fold == number)
        model = fit(train.rows(np.flatnonzero(fold != number)))
        logits[held] = model.score([texts[row] for row in held], explain=False).logit
    return logits
