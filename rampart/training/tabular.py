"""Fitting boosted trees over named features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.features.families import FAMILIES
from rampart.models.base import Floats
from rampart.models.tabular import TabularFeatures, TabularModel, columns_of, read

Rows = tuple[Floats, NDArray[np.int8]]


class TabularTraining(BaseModel):
    """How the trees are fitted.

    Attributes:
        families: of features.
        leaves: of a tree at the most; TreeSHAP takes three times as long with 15, which ranked
            no better beyond noise.
        learning_rate: of boosting.
        rounds: trees at the most; fewer where validation stops getting better.
        patience: rounds without a better validation loss until it stops.
        leaf_texts: texts in a leaf at the least.
        without: features that are left out, to measure what they are worth.
        seed: of the draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    families: tuple[str, ...] = ("security",)
    leaves: int = Field(default=8, ge=2)
    learning_rate: float = Field(default=0.08, gt=0)
    rounds: int = Field(default=800, ge=1)
    patience: int = Field(default=60, ge=1)
    leaf_texts: int = Field(default=10, ge=1)
    without: tuple[str, ...] = ()
    seed: int = 0


def fit_tabular(
    train: Labelled, validation: Labelled, settings: TabularTraining | None = None
) -> TabularModel:
    """Fit on labelled texts, classes weighted to equal mass, and stop early on validation.

    Raises:
        TrainingError: one class is missing, or a family or a feature is not known.
    """
    settings = settings or TabularTraining()
    unknown = [name for name in settings.families if name not in FAMILIES]
    if unknown or not settings.families:
        raise TrainingError(
            f"There are no features {unknown}.", f"Name families of {sorted(FAMILIES)}."
        )
    families = [FAMILIES[name]() for name in settings.families]
    columns = columns_of(families)
    if left_out := set(settings.without) - set(columns):
        raise TrainingError(f"There are no features {sorted(left_out)} to leave out.")

    def table(part: Labelled) -> Floats:
        values = np.array([reading.values for reading in read(families, part.aligned())])
        values[:, [columns.index(name) for name in settings.without]] = 0.0
        return values

    trees = fit_trees(
        (table(train), train.labels), (table(validation), validation.labels), columns, settings
    )
    features = TabularFeatures(families=settings.families, columns=columns)
    return TabularModel(features, families, trees)


def fit_trees(train: Rows, watched: Rows, columns: Sequence[str], settings: TabularTraining) -> Any:
    """Boosted trees over named columns, classes weighted to equal mass.

    Args:
        train: values, float64 [n, k], and labels, int8 [n].
        watched: the same of other rows; boosting stops where their loss stops falling.
        columns: names, [k].
        settings: of these the trees' own.

    Raises:
        TrainingError: one class is missing.
    """
    import lightgbm

    fitted, stopped = tree_data(train, watched, columns)
    booster = lightgbm.train(
        tree_parameters(settings),
        fitted,
        num_boost_round=settings.rounds,
        valid_sets=[stopped],
        callbacks=[lightgbm.early_stopping(settings.patience, verbose=False)],
    )
    # Written and read again, so that what is measured is what will be served: the best round's.
    return lightgbm.Booster(model_str=booster.model_to_string())


def tree_data(train: Rows, watched: Rows, columns: Sequence[str]) -> tuple[Any, Any]:
    """LightGBM's data sets of both, for `fit_trees` and for whoever grows trees round by round.

    Raises:
        TrainingError: one class is missing.
    """
    import lightgbm

    for (_, labels), name in ((train, "training"), (watched, "validation")):
        if len(set(labels.tolist())) < 2:
            raise TrainingError(
                f"All {len(labels)} {name} texts have one label.",
                "Give texts of both classes, 0 for harmless and 1 for threats.",
            )
    fitted = lightgbm.Dataset(
        train[0], train[1], weight=_weights(train[1]), feature_name=list(columns)
    )
    stopped = lightgbm.Dataset(
        watched[0], watched[1], weight=_weights(watched[1]), reference=fitted
    )
    return fitted, stopped


def tree_parameters(settings: TabularTraining) -> dict[str, Any]:
    """What LightGBM is told of how trees grow."""
    return {
        "objective": "binary",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.leaf_texts,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _weights(labels: NDArray[np.int8]) -> Floats:
    """Weights that give both classes the same mass, with a mean of one."""
    counts = np.bincount(labels, minlength=2)
    weights: Floats = (len(labels) / (2.0 * counts))[labels]
    return weights
