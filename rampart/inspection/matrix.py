"""Named features of many texts as one matrix, with what is known of each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rampart.data.labelled import Labelled
from rampart.errors import InputError
from rampart.features.base import FeatureFamily
from rampart.models.base import Floats
from rampart.training.folds import campaign_folds


@dataclass(frozen=True)
class Matrix:
    """Features of n texts.

    Attributes:
        values: float64 [n, k].
        labels: 0 and 1, int8 [n].
        campaigns: of each text, [n]; "" where it stands for itself.
        columns: names of the features, [k].
        families: the family of each, [k].
    """

    values: Floats
    labels: NDArray[np.int8]
    campaigns: Sequence[str]
    columns: tuple[str, ...]
    families: tuple[str, ...]

    def __post_init__(self) -> None:
        rows, columns = self.values.shape
        sizes = (rows, rows, columns, columns)
        if sizes != tuple(
            map(len, (self.labels, self.campaigns, self.columns, self.families))
        ) or columns != len(set(self.columns)):
            raise InputError(
                f"Labels, campaigns and names do not fit a matrix of {rows} by {columns}.",
                "Give one label and campaign a row, one name of its own and family a column.",
            )

    @classmethod
    def of(cls, texts: Labelled, families: Sequence[FeatureFamily]) -> Matrix:
        """Read families that are fitted, or need no fitting."""
        aligned = texts.aligned()
        parts = [family.transform(aligned) for family in families]
        values = np.concatenate([np.zeros((len(aligned), 0)), *parts], axis=1)
        return cls._named(values, texts, families)

    @classmethod
    def _named(cls, values: Floats, texts: Labelled, families: Sequence[FeatureFamily]) -> Matrix:
        named = [(feature.name, family.name) for family in families for feature in family.features]
        return cls(
            values,
            texts.labels,
            tuple(texts.campaigns) or ("",) * len(values),
            tuple(name for name, _ in named),
            tuple(family for _, family in named),
        )

    @classmethod
    def learned(
        cls, train: Labelled, family: FeatureFamily, *, folds: int = 5, seed: int = 0
    ) -> Matrix:
        """A family that learns, read in its training texts as if it had not seen them.

        Each fold of campaigns is read by the family fitted on the others; afterwards the family is
        fitted on all of them. Else a text would be near what was learned from it.

        Args:
            train: with labels and campaigns.
            family: whose `fit` takes texts, labels and campaigns.
            folds: of campaigns.
            seed: of the folds.

        Raises:
            TrainingError: a class has fewer campaigns than there are folds.
        """
        fold = campaign_folds(train, folds, seed=seed)
        aligned = train.aligned()

        def fit(rows: NDArray[np.int64]) -> None:
            campaigns = [train.campaigns[row] for row in rows] if train.campaigns else None
            texts = [aligned[row] for row in rows]
            family.fit(texts, train.labels[rows], campaigns)  # type: ignore[call-arg]

        values = np.zeros((len(fold), len(family.features)))
        for number in np.unique(fold):
            fit(np.flatnonzero(fold != number))
            held = np.flatnonzero(fold == number)
            values[held] = family.transform([aligned[row] for row in held])
        fit(np.arange(len(fold)))
        return cls._named(values, train, [family])

    def without(self, columns: Sequence[str]) -> Matrix:
        """The same without some columns.

        Raises:
            InputError: a column is not there.
        """
        if missing := sorted(set(columns) - set(self.columns)):
            raise InputError(f"There are no features {missing}.", f"Name some of {self.columns}.")
        return self.keep([name not in columns for name in self.columns])

    def keep(self, chosen: Sequence[bool]) -> Matrix:
        """The same with some columns, `chosen` [k]."""
        at = np.flatnonzero(chosen)
        return Matrix(
            self.values[:, at],
            self.labels,
            self.campaigns,
            tuple(self.columns[column] for column in at),
            tuple(self.families[column] for column in at),
        )

    def rows(self, chosen: NDArray[np.int64]) -> Matrix:
        """Some rows, in the order given."""
        return Matrix(
            self.values[chosen],
            self.labels[chosen],
            tuple(self.campaigns[row] for row in chosen),
            self.columns,
            self.families,
        )


def beside(*parts: Matrix) -> Matrix:
    """Matrices of the same texts as one, columns beside each other.

    Raises:
        InputError: they are of different texts, or have a column in common.
    """
    first = parts[0]
    if any(not np.array_equal(part.labels, first.labels) for part in parts):
        raise InputError("The matrices are of different texts.", "Read the same texts for all.")
    return Matrix(
        np.concatenate([part.values for part in parts], axis=1),
        first.labels,
        first.campaigns,
        tuple(name for part in parts for name in part.columns),
        tuple(family for part in parts for family in part.families),
    )
