"""The ways to combine that a training run may choose, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rampart.data.labelled import Labelled
from rampart.ensembles.base import Combine, Ensemble
from rampart.ensembles.stacking import fit_stacking
from rampart.ensembles.voting import fit_soft_voting, fit_voting, fit_weighed_voting
from rampart.errors import InputError
from rampart.models.base import Floats
from rampart.models.calibration import Calibration
from rampart.training.folds import campaign_folds, out_of_fold
from rampart.training.ngram import fit_ngram
from rampart.training.tabular import TabularTraining, fit_tabular

FOLDS = 5
VOTING, SOFT, STACKING = "voting", "soft", "stacking"
COMBINATIONS = (VOTING, SOFT, STACKING)


def combination(name: str, train: Labelled, validation: Labelled, *, seed: int = 0) -> Combine:
    """The way to combine of that name.

    Args:
        name: `voting` weighs calibrated logits by what does best on validation, `soft` weighs them
            alike, `stacking` fits the weights of the quick models to their logits out of fold;
            or each model's share itself, as `ngram=0.4,encoder=0.6`.
        train: what the models were fitted on; for stacking alone.
        validation: where the trees stop; for stacking alone.
        seed: of the folds.

    Raises:
        InputError: there is no such way.
    """
    ways: Mapping[str, Callable[[], Combine]] = {
        VOTING: lambda: fit_voting,
        SOFT: lambda: fit_soft_voting,
        STACKING: lambda: _stacking(train, validation, seed),
    }
    if "=" in name:
        return partial(fit_weighed_voting, shares=shares_from(name))
    if name not in ways:
        raise InputError(
            f"There is no way to combine models named {name!r}.",
            f"Choose {', '.join(ways)}, or give shares, as ngram=0.4,encoder=0.6.",
        )
    return ways[name]()


def shares_from(text: str) -> dict[str, float]:
    """Each model's share of the vote, from `ngram=0.4,encoder=0.6`.

    Raises:
        InputError: it is not written so.
    """
    try:
        pairs = (part.partition("=") for part in text.split(","))
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise InputError(
            f"{text!r} are no shares of a vote.", "Write them as ngram=0.4,encoder=0.6."
        ) from None


def quick_out_of_fold(train: Labelled, validation: Labelled, *, seed: int) -> dict[str, Floats]:
    """Raw logits of the quick models for each training text, from fits without its campaign.

    The encoder is not among them: five more of its fits would take longer than all the rest.
    """
    settings = TabularTraining(seed=seed)
    fold = campaign_folds(train, FOLDS, seed=seed)
    return {
        "ngram": out_of_fold(train, lambda part: fit_ngram(part.texts, part.labels), fold),
        "tabular": out_of_fold(train, lambda part: fit_tabular(part, validation, settings), fold),
    }


def _stacking(train: Labelled, validation: Labelled, seed: int) -> Combine:
    folds = quick_out_of_fold(train, validation, seed=seed)

    def combine(
        logits: Mapping[str, Floats],
        _: Mapping[str, Calibration],
        labels: NDArray[np.int8],
    ) -> Ensemble:
        known = {name: logits[name] for name in folds}
        return fit_stacking(folds, train.labels, known, labels)

    return combine
