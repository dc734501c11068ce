"""Which features tell where a text came from rather than what it is.

A source whose texts all have one label can be told by residue of the way here (a list's footer, a
header), and a model that learns the residue looks good until mail comes another way. So among the
texts of one label the sources are told apart, each from the others: what does that well has the
label's credit only through the source. Trees trained on the source instead of the label say how
far the features can tell it together; each feature's own ROC curve says which of them do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.data.labelled import Labelled
from rampart.errors import InputError, TrainingError
from rampart.inspection.matrix import Matrix
from rampart.models.base import Floats
from rampart.resampling import Interval, Resamples
from rampart.training.folds import campaign_folds
from rampart.training.tabular import TabularTraining, fit_trees

_FOLDS = 5
_RESAMPLES = 300
# How well a feature alone has to tell a source before it is worth a word.
_TELLING = 0.6
_NOTHING = Interval(value=0.5, low=0.5, high=0.5)


class SourceTold(BaseModel):
    """How well one source can be told from the others of its label, by all features together.

    Attributes:
        source: its name.
        label: of its texts.
        texts: how many are its own.
        others: how many are of the other sources.
        auc: of trees trained on the source, on campaigns that they have not seen; .5 is not at all.
        strongest: the features that these trees rest on most, by mean size of their SHAP values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    label: int
    texts: int
    others: int
    auc: Interval
    strongest: tuple[str, ...]


class FeatureLeak(BaseModel):
    """What one feature alone tells; .5 is nothing and 1 everything, whichever way it points.

    Attributes:
        feature: its name.
        family: it is of.
        source: the source that it tells best from the others of its label.
        of_source: how well.
        of_label: how well it tells threats from harmless texts.
        leaks: whether it tells that source better than the label, beyond both intervals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    family: str
    source: str
    of_source: Interval
    of_label: Interval
    leaks: bool


class Leakage(BaseModel):
    """All of it.

    Where every label has one source, no source is told and no feature leaks.

    Attributes:
        sources: the one that is told best first.
        features: those that leak first, then by how well they tell their source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[SourceTold, ...]
    features: tuple[FeatureLeak, ...]

    @property
    def leaking(self) -> list[str]:
        """Names of the features that leak."""
        return [one.feature for one in self.features if one.leaks]


def leakage(
    matrix: Matrix,
    sources: Sequence[str],
    settings: TabularTraining | None = None,
    *,
    fewest: int = 40,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Leakage:
    """Tell sources apart among the texts of one label.

    Args:
        matrix: features of n texts.
        sources: where each text came from, [n].
        settings: of the trees.
        fewest: texts of a source, and of the others of its label, that are worth measuring.
        resamples: of whole campaigns, for the intervals.
        seed: of folds and resamples.

    Raises:
        InputError: the sources are of other texts.
    """
    if len(sources) != len(matrix.labels):
        raise InputError(f"{len(sources)} sources are given for {len(matrix.labels)} texts.")
    settings = settings or TabularTraining(seed=seed)
    told: list[SourceTold] = []
    by_source: dict[str, list[Interval]] = {"": [_NOTHING] * len(matrix.columns)}
    for source, rows, own in _tasks(matrix, sources, fewest):
        some = matrix.rows(rows)
        draws = Resamples(some.campaigns, len(rows), resamples, seed)
        by_source[source] = [_told(column, own, draws) for column in some.values.T]
        together = _together(source, some, own, draws, settings)
        told += [together] if together else []
    draws = Resamples(matrix.campaigns, len(matrix.labels), resamples, seed)
    features = [
        _leak(matrix, column, by_source, _told(values, matrix.labels == 1, draws))
        for column, values in enumerate(matrix.values.T)
    ]
    return Leakage(
        sources=tuple(sorted(told, key=lambda one: -one.auc.value)),
        features=tuple(sorted(features, key=lambda one: (not one.leaks, -one.of_source.value))),
    )


def _leak(
    matrix: Matrix, column: int, by_source: Mapping[str, Sequence[Interval]], of_label: Interval
) -> FeatureLeak:
    """One feature, with the source that it tells best."""
    source = max(by_source, key=lambda name: by_source[name][column].value)
    of_source = by_source[source][column]
    return FeatureLeak(
        feature=matrix.columns[column],
        family=matrix.families[column],
        source=source,
        of_source=of_source,
        of_label=of_label,
        leaks=of_source.low > max(_TELLING, of_label.high),
    )


def _tasks(
    matrix: Matrix, sources: Sequence[str], fewest: int
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.bool_]]]:
    """Each source, the rows of its label, and which of them are its own."""
    source = np.array(sources, dtype=object)
    for label in (0, 1):
        rows = np.flatnonzero(matrix.labels == label)
        names = sorted(set(source[rows].tolist()))
        # Of two, telling one from the other is telling the other from the one.
        for name in names[:1] if len(names) == 2 else names:
            own = source[rows] == name
            if fewest <= own.sum() <= len(rows) - fewest:
                yield name, rows, own


def _together(
    source: str, some: Matrix, own: NDArray[np.bool_], draws: Resamples, settings: TabularTraining
) -> SourceTold | None:
    """What trees trained on the source tell; None where there are too few campaigns for folds."""
    of_source = own.astype(np.int8)
    texts = Labelled([""] * len(own), of_source, campaigns=_own_names(some.campaigns))
    try:
        fold = campaign_folds(texts, _FOLDS, seed=settings.seed)
    except TrainingError:
        return None
    parts = _out_of_fold(some, of_source, fold, settings)
    size = np.abs(parts[:, :-1]).sum(axis=0)
    return SourceTold(
        source=source,
        label=int(some.labels[0]),
        texts=int(own.sum()),
        others=int((~own).sum()),
        auc=_auc_interval(parts.sum(axis=1), own, draws),
        strongest=tuple(some.columns[at] for at in np.argsort(-size, kind="stable")[:5]),
    )


def _out_of_fold(
    some: Matrix, of_source: NDArray[np.int8], fold: NDArray[np.int64], settings: TabularTraining
) -> Floats:
    """TreeSHAP's values and base, [n, k + 1], by trees that saw none of the text's campaigns."""
    parts = np.zeros((len(fold), len(some.columns) + 1))
    for number in range(_FOLDS):
        next_one = (number + 1) % _FOLDS
        held, watched = fold == number, fold == next_one
        fitted = ~held & ~watched
        trees = fit_trees(
            (some.values[fitted], of_source[fitted]),
            (some.values[watched], of_source[watched]),
            some.columns,
            settings,
        )
        parts[held] = trees.predict(some.values[held], pred_contrib=True)
    return parts


def _own_names(campaigns: Sequence[str]) -> list[str]:
    """Campaigns with a name for each text that stands for itself."""
    return [name or f"row {row}" for row, name in enumerate(campaigns)]


def _told(values: Floats, positive: NDArray[np.bool_], draws: Resamples) -> Interval:
    """How well a value tells, whichever way it points; the way is that of all rows."""
    found = _auc_interval(values, positive, draws)
    if found.value >= 0.5:
        return found
    return Interval(value=1 - found.value, low=1 - found.high, high=1 - found.low)


def _auc_interval(values: Floats, positive: NDArray[np.bool_], draws: Resamples) -> Interval:
    every = np.ones((1, len(values)))
    drawn = np.concatenate([_auc(values, positive, weights) for weights in draws.weights()])
    return Interval.of(_auc(values, positive, every)[0], drawn)


def _auc(values: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Area under the ROC curve of values [n] under weights [r, n]; ties count half; NaN if none."""
    order: Any = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(np.True_, ordered[1:] != ordered[:-1]))
    weight = weights[:, order]
    own = np.add.reduceat(weight * positive[order], starts, axis=1)
    rest = np.add.reduceat(weight * ~positive[order], starts, axis=1)
    below = np.cumsum(rest, axis=1) - rest
    pairs = own.sum(axis=1) * rest.sum(axis=1)
    won = (own * (below + rest / 2)).sum(axis=1)
    area: Floats = np.divide(won, pairs, where=pairs > 0, out=np.full(len(pairs), np.nan))
    return area
