"""What features and models give away about the texts behind them, and which may leave the house.

Three questions, each with a measured answer: whose row can be told apart by a feature's value
(k-anonymity, Samarati and Sweeney, 1998), whether a model shows which texts it was trained on
(membership inference by its loss, Yeom et al., 2018), and what personal data a set of texts holds.
The report counts; it never quotes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.errors import DataError
from rampart.features.base import FeatureFamily, Floats
from rampart.features.privacy import Detector

K = 5
_BINS = 10
_RESAMPLES = 1000


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Anonymity(_Document):
    """How many rows share their values with few others.

    Attributes:
        rows: of the table.
        groups: different combinations of values.
        smallest: rows in the smallest group.
        below: share of rows in groups of fewer than `k`.
        k: as asked.
    """

    rows: int
    groups: int
    smallest: int
    below: float
    k: int


class Membership(_Document):
    """How well the loss tells training texts from others: .5 is not at all.

    Attributes:
        auc: area under the attack's ROC curve.
        low: of its 95 % bootstrap interval.
        high: of the same.
        caught: share of training texts that are named at one wrong name in a hundred others.
    """

    auc: float
    low: float
    high: float
    caught: float


class Leaving(_Document):
    """Whether a feature's values may leave, and why.

    Attributes:
        feature: its name.
        verdict: `as it is`, `in tenths` (binned by deciles), or `stays`.
        reason: with the figure that decided.
    """

    feature: str
    verdict: str
    reason: str


class PrivacyReport(_Document):
    """All answers for one set of texts.

    Attributes:
        texts: how many were read.
        failed: how many could not be.
        found: kind of personal data to the number of findings.
        holding: kind to the share of texts that hold any.
        features: what of each feature may leave.
    """

    texts: int
    failed: int
    found: dict[str, int]
    holding: dict[str, float]
    features: list[Leaving]


def k_anonymity(table: pd.DataFrame, columns: Sequence[str], *, k: int = K) -> Anonymity:
    """How far categorical columns tell rows apart; missing values count as one value.

    Raises:
        DataError: the table has no row, or not these columns.
    """
    missing = [column for column in columns if column not in table]
    if missing or not len(table) or not columns:
        raise DataError(
            f"The table of {len(table)} rows lacks {missing or 'columns to group by'}.",
            "Name columns that it has.",
        )
    sizes = table.groupby(list(columns), dropna=False, observed=True).size()
    return Anonymity(
        rows=len(table),
        groups=len(sizes),
        smallest=int(sizes.min()),
        below=float(sizes[sizes < k].sum() / len(table)),
        k=k,
    )


def membership_inference(
    trained: NDArray[np.float64], others: NDArray[np.float64], *, seed: int = 0
) -> Membership:
    """Attack a model by its log loss on texts it was trained on, [n], and on others, [m].

    Raises:
        DataError: one of them is empty or not finite.
    """
    from scipy.stats import rankdata

    if not len(trained) or not len(others) or not np.isfinite([*trained, *others]).all():
        raise DataError("Losses are missing or not finite.", "Give losses of texts of both kinds.")

    def auc(members: Floats, rest: Floats) -> float:
        ranks = rankdata(np.concatenate([-members, -rest]))[: len(members)]
        return float((ranks.mean() - (len(members) + 1) / 2) / len(rest))

    draw = np.random.default_rng(seed)
    drawn = [
        auc(draw.choice(trained, len(trained)), draw.choice(others, len(others)))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    limit = np.quantile(others, 0.01)
    return Membership(
        auc=auc(trained, others), low=low, high=high, caught=float((trained < limit).mean())
    )


def privacy_report(
    texts: Iterable[str],
    families: Sequence[FeatureFamily],
    *,
    detector: Detector | None = None,
    k: int = K,
) -> PrivacyReport:
    """What texts hold and what features of them may leave; a text that fails is counted."""
    detector = detector or Detector()
    found: Counter[str] = Counter()
    holding: Counter[str] = Counter()
    rows: list[str] = []
    failed = 0
    for text in texts:
        try:
            kinds = [one.kind for one in detector.find(text)]
        except Exception:  # noqa: BLE001 - any recogniser's own; counted, and the rest goes on
            failed += 1
            continue
        rows.append(text)
        found.update(kinds)
        holding.update(set(kinds))
    return PrivacyReport(
        texts=len(rows),
        failed=failed,
        found=dict(found),
        holding={kind: count / len(rows) for kind, count in holding.items()},
        features=[one for family in families for one in _leaving(family, rows, k)],
    )


def _leaving(family: FeatureFamily, texts: Sequence[str], k: int) -> Iterable[Leaving]:
    if not texts:
        return
    values = family.transform(texts)
    for column, feature in enumerate(family.features):
        exact = pd.DataFrame({"value": values[:, column]})
        rare = k_anonymity(exact, ["value"], k=k).below
        if rare == 0.0:
            yield Leaving(
                feature=feature.name,
                verdict="as it is",
                reason=f"each value is shared by {k} texts or more",
            )
            continue
        edges = np.unique(np.quantile(values[:, column], np.linspace(0, 1, _BINS + 1)))
        tenths = pd.DataFrame({"value": np.digitize(values[:, column], edges[1:-1])})
        binned = k_anonymity(tenths, ["value"], k=k)
        yield Leaving(
            feature=feature.name,
            verdict="in tenths" if binned.below == 0.0 else "stays",
            reason=f"{rare:.1%} of the texts have a value that fewer than {k} share",
        )
