"""What trials may see: the rows of the training and validation parts, split again for them.

The test part is dropped before anything is read from it. Each fold splits the rest by campaign into
three: texts to fit on, texts that say when to stop or how to weigh, and texts that nothing but the
trial's figure comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rampart.data import splits
from rampart.data.labelled import Labelled
from rampart.errors import DataError
from rampart.models.base import Ints

SEEN = ("train", "validation")
_COLUMNS = {"id", "text", "clean", "label", "campaign"}


@dataclass(frozen=True)
class Fold:
    """Rows of the pool, int64 each.

    Attributes:
        train: to fit on.
        watched: where boosting and epochs stop, and what is calibrated and weighed on.
        judged: what the figure comes from.
    """

    train: Ints
    watched: Ints
    judged: Ints

    def part(self, share: float, labels: NDArray[np.int8], seed: int) -> Ints:
        """The first share of each class's training rows in a drawn order; more hold fewer."""
        order = np.random.default_rng(seed).permutation(self.train)
        classes = (order[labels[order] == label] for label in (0, 1))
        return np.sort(
            np.concatenate([rows[: max(1, round(share * len(rows)))] for rows in classes])
        )


@dataclass(frozen=True)
class Pool:
    """Rows that trials may see.

    Attributes:
        rows: texts, labels, campaigns.
        fingerprint: of their content.
    """

    rows: Labelled
    fingerprint: str

    @classmethod
    def of(cls, table: pd.DataFrame, column: str = "split") -> Pool:
        """The training and validation parts of a split table.

        Raises:
            DataError: it is not split so, or holds one class only.
        """
        if missing := (_COLUMNS | {column}) - set(table.columns):
            raise DataError(
                f"The table has no column {sorted(missing)[0]!r}.",
                "Give split messages, as rampart data prepare writes them.",
            )
        seen = table[table[column].isin(SEEN)].reset_index(drop=True)
        if set(seen["label"]) != {0, 1}:
            raise DataError(
                f"The {' and '.join(SEEN)} parts of {column} hold labels "
                f"{sorted(set(seen['label']))}, not both.",
                "Give messages of both classes.",
            )
        return cls(Labelled.of(seen), fingerprint(seen, "text", "clean", "label", "campaign"))

    def folds(self, count: int, seed: int) -> list[Fold]:
        """The pool split so many times anew, by campaign.

        Raises:
            DataError: a part of a fold lacks a class.
        """
        rows = pd.DataFrame({"campaign": list(self.rows.campaigns), "label": self.rows.labels})
        found = []
        for number in range(count):
            parts = splits.by_campaign(rows, seed=seed * 1_000 + number).to_numpy()
            train, watched, judged = (np.flatnonzero(parts == part) for part in splits.PARTS)
            for place, name in ((train, "fits"), (watched, "stops"), (judged, "is judged by")):
                if set(self.rows.labels[place].tolist()) != {0, 1}:
                    raise DataError(
                        f"What fold {number + 1} of {count} {name} lacks a class.",
                        "Give more messages of both classes, in several campaigns each.",
                    )
            found.append(Fold(train, watched, judged))
        return found


def fingerprint(rows: pd.DataFrame, *columns: str) -> str:
    """SHA-256 of what columns hold, row by row, in hexadecimal digits."""
    digest = sha256()
    for name in columns:
        for value in rows[name]:
            said = str(value).encode("utf-8", "surrogatepass")
            digest.update(len(said).to_bytes(8, "little") + said)
    return digest.hexdigest()
