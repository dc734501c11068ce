"""What named features are worth to boosted trees over them, three ways.

- Permutation (Breiman, 2001): by how much the log loss on texts held out rises when one feature's
  values are dealt out anew; of two features that say the same neither looks important.
- SHAP (Lundberg, 2020): the mean size of what TreeSHAP says the feature adds to the logit.
- Leaving a family out: the trees fitted again without it, and by it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from rampart.evaluation.intervals import Bootstrap, bootstrap
from rampart.evaluation.metrics import threshold_at_fpr
from rampart.evaluation.scored import Scored
from rampart.inspection.matrix import Matrix
from rampart.models.base import Floats, log_losses, sigmoid
from rampart.resampling import RESAMPLES, Interval, Resamples
from rampart.training.tabular import TabularTraining, fit_trees

METRICS = ("f1", "recall_at_1_fpr", "pr_auc")
ALL = "all families"


class Worth(BaseModel):
    """What one feature is worth on n texts held out.

    Attributes:
        feature: its name.
        family: it is of.
        permutation: rise of the mean log loss when it is permuted.
        shap: mean size of what it adds to the logit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    family: str
    permutation: Interval
    shap: Interval


class FamilyWorth(BaseModel):
    """What one family is worth on n texts held out, by metric; None where a metric is undefined.

    Attributes:
        family: its name.
        features: how many it has.
        adds: all families less all but this one, on the same texts; None where it is the only one.
        alone: by this family only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    features: int
    adds: dict[str, Interval | None] | None
    alone: dict[str, Interval | None]


class FeatureImportance(BaseModel):
    """All of it.

    Attributes:
        texts: held out, n.
        together: metrics of all families.
        families: the one that adds most first.
        features: the one with the largest permutation importance first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: int
    together: dict[str, Interval | None]
    families: tuple[FamilyWorth, ...]
    features: tuple[Worth, ...]


@dataclass(frozen=True)
class Parts:
    """The same features of the three parts of a split."""

    train: Matrix
    watched: Matrix
    tested: Matrix

    def keep(self, chosen: Sequence[bool]) -> Parts:
        """Some columns of all three, `chosen` [k]."""
        return Parts(self.train.keep(chosen), self.watched.keep(chosen), self.tested.keep(chosen))

    def without(self, columns: Sequence[str]) -> Parts:
        """All three without some columns.

        Raises:
            InputError: a column is not there.
        """
        parts = (self.train, self.watched, self.tested)
        return Parts(*(part.without(columns) for part in parts))


def feature_importance(
    parts: Parts,
    settings: TabularTraining | None = None,
    *,
    repeats: int = 5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FeatureImportance:
    """Fit trees on all features, and without each family and by each alone, and measure them.

    Args:
        parts: to fit on, to stop early and choose thresholds on, and to measure on.
        settings: of the trees; which families and features they read is not asked there.
        repeats: how often each feature is permuted; the figure is the mean.
        resamples: of whole campaigns, for the intervals.
        seed: of permutations and resamples.

    Raises:
        TrainingError: a class is missing.
        DataError: there is no text to measure on.
    """
    settings = settings or TabularTraining()
    trees = _fitted(parts, settings)
    drawn = compared(_trees_of_families(parts, settings) | {ALL: (trees, parts)}, resamples, seed)
    names = tuple(dict.fromkeys(parts.tested.families))
    families = [_family(name, parts, drawn) for name in names]
    families.sort(key=lambda one: -_added(one))
    return FeatureImportance(
        texts=len(parts.tested.labels),
        together=_metrics(drawn, ALL),
        families=tuple(families),
        features=_features(trees, parts.tested, repeats, resamples, seed),
    )


def compared(
    trees: Mapping[str, tuple[Any, Parts]], resamples: int = RESAMPLES, seed: int = 0
) -> Bootstrap:
    """Metrics of several boosters, each over columns of its own, on the same texts.

    Each one's threshold is the one at 1 % false positives on the texts it was watched on.
    """
    scored = {}
    for name, (booster, parts) in trees.items():
        watched, tested = (
            sigmoid(booster.predict(part.values, raw_score=True))
            for part in (parts.watched, parts.tested)
        )
        limit = threshold_at_fpr(parts.watched.labels, watched, 0.01)
        scored[name] = Scored.of(parts.tested.labels, tested, limit)
    campaigns = next(iter(trees.values()))[1].tested.campaigns
    return bootstrap(scored, campaigns=campaigns, resamples=resamples, seed=seed)


def without(
    parts: Parts,
    left_out: Mapping[str, Sequence[str]],
    settings: TabularTraining | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Interval | None]]:
    """What all features have over all but some, paired: by name of what is left out, by metric.

    Raises:
        InputError: a feature is not there.
    """
    settings = settings or TabularTraining()
    every = {name: parts.without(columns) for name, columns in left_out.items()} | {ALL: parts}
    trees = {name: (_fitted(some, settings), some) for name, some in every.items()}
    drawn = compared(trees, resamples, seed)
    return {
        name: {metric: drawn.difference(ALL, name, metric) for metric in METRICS}
        for name in left_out
    }


def _fitted(parts: Parts, settings: TabularTraining) -> Any:
    train, watched = parts.train, parts.watched
    return fit_trees(
        (train.values, train.labels), (watched.values, watched.labels), train.columns, settings
    )


def _trees_of_families(parts: Parts, settings: TabularTraining) -> dict[str, tuple[Any, Parts]]:
    found: dict[str, tuple[Any, Parts]] = {}
    of = parts.tested.families
    for name in dict.fromkeys(of):
        chosen = {f"only {name}": parts.keep([family == name for family in of])}
        if len(set(of)) > 1:
            chosen[f"without {name}"] = parts.keep([family != name for family in of])
        found |= {which: (_fitted(some, settings), some) for which, some in chosen.items()}
    return found


def _family(name: str, parts: Parts, drawn: Bootstrap) -> FamilyWorth:
    adds = None
    if f"without {name}" in drawn.point:
        adds = {metric: drawn.difference(ALL, f"without {name}", metric) for metric in METRICS}
    return FamilyWorth(
        family=name,
        features=parts.tested.families.count(name),
        adds=adds,
        alone=_metrics(drawn, f"only {name}"),
    )


def _metrics(drawn: Bootstrap, model: str) -> dict[str, Interval | None]:
    return {metric: drawn.interval(model, metric) for metric in METRICS}


def _added(family: FamilyWorth) -> float:
    added = (family.adds or {}).get("pr_auc")
    return added.value if added else 0.0


def _features(
    trees: Any, tested: Matrix, repeats: int, resamples: int, seed: int
) -> tuple[Worth, ...]:
    draws = Resamples(tested.campaigns, len(tested.labels), resamples, seed)
    shap = np.abs(trees.predict(tested.values, pred_contrib=True)[:, :-1])
    permuted = _permuted(trees, tested, repeats, seed)
    every = np.ones_like(shap)
    found = zip(
        tested.columns,
        tested.families,
        draws.means(permuted, every),
        draws.means(shap, every),
        strict=True,
    )
    worth = [
        Worth(feature=name, family=family, permutation=permutation, shap=size)
        for name, family, permutation, size in found
    ]
    return tuple(sorted(worth, key=lambda one: (-one.permutation.value, -one.shap.value)))


def _permuted(trees: Any, tested: Matrix, repeats: int, seed: int) -> Floats:
    """Rise of each text's log loss when one feature is permuted, [n, k]."""
    draw = np.random.default_rng(seed)
    whole = _losses(trees, tested.values, tested)
    rise = np.zeros_like(tested.values)
    used = np.asarray(trees.feature_importance("split")) > 0
    values = tested.values.copy()
    for column in np.flatnonzero(used):
        own = values[:, column].copy()
        for _ in range(repeats):
            values[:, column] = own[draw.permutation(len(own))]
            rise[:, column] += (_losses(trees, values, tested) - whole) / repeats
        values[:, column] = own
    return rise


def _losses(trees: Any, values: Floats, tested: Matrix) -> Floats:
    return log_losses(trees.predict(values, raw_score=True), tested.labels)
