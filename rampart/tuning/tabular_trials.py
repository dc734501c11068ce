"""Trials of the trees: features are read once, and the trees of all folds grow round by round.

A trial's steps are rounds of boosting. After so many of them in every fold the pruner sees the mean
over the folds of what the best round so far ranks, as it would be served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rampart.features.families import FAMILIES
from rampart.models.base import Floats, Ints
from rampart.models.tabular import TabularFeatures, TabularModel, columns_of, read
from rampart.training.tabular import TabularTraining, fit_trees, tree_data, tree_parameters
from rampart.tuning.figures import cost_of, recall
from rampart.tuning.kept import code, digest, kept
from rampart.tuning.pool import Fold, Pool
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.spaces import resources
from rampart.tuning.steps import Steps

_FAMILIES = TabularTraining().families
_CODE = ("features", "data/cleaning.py")


@dataclass(frozen=True)
class TabularPool:
    """The pool as features.

    Attributes:
        pool: the rows.
        values: of the features, [texts, columns].
        columns: their names.
    """

    pool: Pool
    values: Floats
    columns: tuple[str, ...]

    @classmethod
    def of(cls, pool: Pool, cache: Path) -> TabularPool:
        """Read, or map what was read before."""
        families = [FAMILIES[name]() for name in _FAMILIES]
        columns = columns_of(families)

        def made() -> dict[str, Floats]:
            readings = read(families, pool.rows.aligned())
            return {"values": np.array([reading.values for reading in readings])}

        key = digest("tabular", pool.fingerprint, columns, code(*_CODE))
        return cls(pool, kept(cache, key, made)["values"], columns)

    def rows(self, chosen: Ints) -> tuple[Floats, Any]:
        """Values and labels of rows."""
        return np.asarray(self.values[chosen]), self.pool.rows.labels[chosen]

    def fit(self, train: Ints, watched: Ints, scored: Ints, training: TabularTraining) -> Floats:
        """Logits of rows by trees that were fitted on others."""
        trees = fit_trees(self.rows(train), self.rows(watched), self.columns, training)
        logit: Floats = trees.predict(self.rows(scored)[0], raw_score=True)
        return logit

    def model(self, trees: Any) -> TabularModel:
        """The model as it is served."""
        families = [FAMILIES[name]() for name in _FAMILIES]
        return TabularModel(
            TabularFeatures(families=_FAMILIES, columns=self.columns), families, trees, threads=1
        )


class Growing:
    """The trees of one fold, grown as `fit_trees` would, some rounds at a time.

    Attributes:
        rounds: grown so far.
        done: whether validation has stopped getting better, or they are all there.
    """

    def __init__(
        self, data: TabularPool, fold: Fold, training: TabularTraining, labels: Any
    ) -> None:
        import lightgbm

        fitted, stopped = tree_data(data.rows(fold.train), data.rows(fold.watched), data.columns)
        self.booster = lightgbm.Booster(tree_parameters(training) | {"num_threads": 1}, fitted)
        self.booster.add_valid(stopped, "watched")
        self.training = training
        self.judged = data.rows(fold.judged)[0]
        self.labels = labels[fold.judged]
        self.rounds, self.best, self.loss = 0, 0, float("inf")
        self.done = False

    def grow(self, rounds: int) -> None:
        """Grow until there are so many, or until it is done."""
        while not self.done and self.rounds < rounds:
            self.booster.update()
            self.rounds += 1
            loss = float(self.booster.eval_valid()[0][2])
            if loss < self.loss:
                self.best, self.loss = self.rounds, loss
            waited = self.rounds - self.best >= self.training.patience
            self.done = waited or self.rounds >= self.training.rounds

    def figure(self) -> float:
        """Recall at 1 % false positives of the best round so far."""
        logit = self.booster.predict(self.judged, num_iteration=self.best, raw_score=True)
        return recall(logit, self.labels)

    def trees(self) -> Any:
        """The best round's."""
        import lightgbm

        text = self.booster.model_to_string(num_iteration=self.best)
        return lightgbm.Booster(model_str=text)


def training_of(parameters: Parameters, settings: StudySettings) -> TabularTraining:
    """The training's settings from the pipeline's parameters."""
    plain = TabularTraining()
    return TabularTraining(
        learning_rate=float(parameters.get("tabular_learning_rate", plain.learning_rate)),
        leaves=int(parameters.get("tabular_leaves", plain.leaves)),
        leaf_texts=int(parameters.get("tabular_leaf_texts", plain.leaf_texts)),
        rounds=settings.rounds,
        seed=settings.seed,
    )


def tabular_trial(
    data: TabularPool,
    folds: Sequence[Fold],
    settings: StudySettings,
    parameters: Parameters,
    steps: Steps,
) -> dict[str, float]:
    """Figures of one set of parameters: the mean over the folds.

    Raises:
        TrainingError: a fold cannot be fitted.
        HaltedError: the worker was asked to stop.
        optuna.TrialPruned: others did better after fewer rounds.
    """
    training = training_of(parameters, settings)
    labels = data.pool.rows.labels
    growing = [Growing(data, fold, training, labels) for fold in folds]
    stride, most = resources(settings)
    figure = float("nan")
    for step in range(stride, most + stride, stride):
        for fold in growing:
            steps.check()
            fold.grow(min(step, most))
        figure = float(np.mean([fold.figure() for fold in growing]))
        steps(min(step, most), figure)
        if all(fold.done for fold in growing):
            break
    figures = {"recall": figure}
    if "cost" in settings.objectives:
        texts = data.pool.rows.rows(folds[-1].judged).aligned()
        figures["cost"] = cost_of(data.model(growing[-1].trees()), texts)
    return figures
