"""Whether a new model takes the champion's place, and why.

Both are measured on the same test rows, which neither may have been trained on, and their
difference is bootstrapped in pairs over whole campaigns. Each compared metric (F1 at each one's
own threshold and recall at 1 % false positives) then comes out as one of four:

- better: the whole interval of the difference lies above 0;
- worse: the whole interval lies below 0;
- level: the interval holds 0 and its lower bound lies above `-tolerance`, so that a loss that
  would matter is ruled out;
- open: the interval holds both 0 and a loss that would matter, so that the rows cannot tell.

The rule, in this order:

1. The candidate's own figures meet the floors. Without a champion that is all.
2. Each class is there in at least `fewest` campaigns. With fewer, two models may agree on every
   row by luck, and an interval without width would pass for certainty.
3. A metric that is worse keeps the champion, however small the loss: losses within the tolerance
   would add up, retraining by retraining.
4. If every metric is better or level, the candidate is promoted.
5. Open metrics are settled by their estimates, as far as the rows reach: the candidate is promoted
   if none of these estimates is below 0 and none of their intervals goes below `-reach`.

Asking for 'not shown to be worse' alone would let a worse model through whenever rows are few;
asking for 'shown to be no worse' alone would turn an equal model away forever, as two models of
one quality that err on different mails give an interval of some ±.015 on a thousand mails. Step 5
stands between: an equal model passes in a good part of its retrainings, a clearly worse one
seldom, and one measured on less than step 2 asks never. The reason says when a decision was made
so.

Simulated with 60 retrainings on 1,170 rows (350 threats), errors independent of the champion's and
a champion of F1 .977: candidates of the same quality passed 52 % of the time, those of F1 .962 5 %
and those of F1 .94 never. On 140 rows (40 threats) it was 45 %, 23 % and 5 %: small tests make weak
gates, and `fewest` and `reach` are there to be tightened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rampart.errors import InputError
from rampart.evaluation.intervals import bootstrap
from rampart.evaluation.metrics import METRICS, measure
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats
from rampart.resampling import RESAMPLES, Interval

FLOORS: Mapping[str, float] = {"recall_at_1_fpr": 0.5}
COMPARED = ("f1", "recall_at_1_fpr")

Outcome = Literal["better", "level", "open", "worse"]


class Contender(NamedTuple):
    """A model's probabilities of the test rows, [n], and its decision threshold."""

    probability: Floats
    threshold: float


class Decision(BaseModel):
    """What becomes of a candidate.

    Attributes:
        promote: whether it takes the champion's place.
        alias: what the registry is to call it.
        reason: one sentence with the figures that decided.
        figures: the candidate's metrics on the test rows; None where undefined.
        comparisons: metric to the candidate's value less the champion's; empty without a champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    promote: bool
    alias: Literal["champion", "challenger"]
    reason: str
    figures: dict[str, float | None]
    comparisons: dict[str, Interval | None] = {}


def decide(
    labels: NDArray[Any],
    campaigns: Sequence[Any] | NDArray[Any] | None,
    candidate: Contender | tuple[Floats, float],
    champion: Contender | tuple[Floats, float] | None,
    *,
    floors: Mapping[str, float] = FLOORS,
    tolerance: float = 0.01,
    reach: float = 0.05,
    fewest: int = 30,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Decision:
    """Decide by the rule that this module's description sets out.

    Args:
        labels: 0 and 1, [n], of test rows that neither model was trained on.
        campaigns: of the rows, [n]; without them every row stands for itself.
        candidate: the new model.
        champion: the one that serves; None for the first.
        floors: metric to the least the candidate has to reach; the most where lower is better.
        tolerance: a loss below this does not matter.
        reach: a loss of this much has to be ruled out before an estimate is trusted.
        fewest: campaigns that each class has to be there in to compare at all.
        resamples: behind each interval.
        seed: of the resamples.

    Raises:
        InputError: a floor names no metric.
        DataError: labels and probabilities cannot be used, or are of different numbers of rows.
    """
    unknown = [name for name in floors if name not in METRICS]
    if unknown:
        raise InputError(
            f"The floor {unknown[0]!r} names no metric.", f"Name one of {', '.join(METRICS)}."
        )
    rankings = {"candidate": Scored.of(labels, *candidate)}
    figures = measure(rankings["candidate"])
    missed = [name for name, floor in floors.items() if not _meets(name, figures[name], floor)]
    if missed:
        return _decision(_below(missed, figures, floors), figures, promote=False)
    if champion is None:
        met = ", ".join(f"{METRICS[name].title} {_number(figures[name])}" for name in floors)
        reason = f"It is the first model and meets the floors ({met or 'none are set'})."
        return _decision(reason, figures, promote=True)
    rankings["champion"] = Scored.of(labels, *champion)
    drawn = bootstrap(rankings, campaigns=campaigns, resamples=resamples, seed=seed)
    comparisons = {name: drawn.difference("candidate", "champion", name) for name in METRICS}
    promote, reason = _compare(
        {name: comparisons[name] for name in COMPARED},
        _smaller_class(labels, campaigns),
        tolerance=tolerance,
        reach=reach,
        fewest=fewest,
    )
    return _decision(reason, figures, promote=promote, comparisons=comparisons)


def _compare(
    differences: Mapping[str, Interval | None],
    evidence: int,
    *,
    tolerance: float,
    reach: float,
    fewest: int,
) -> tuple[bool, str]:
    """Whether the candidate is promoted, and why: steps 2 to 5."""
    known = {name: interval for name, interval in differences.items() if interval is not None}
    if evidence < fewest or len(known) < len(differences):
        return False, (
            f"The test rows hold one of the classes in {evidence} campaigns only, and comparing "
            f"with the champion takes {fewest}: add test rows."
        )
    outcomes = {name: _outcome(interval, tolerance) for name, interval in known.items()}

    def those(outcome: Outcome) -> dict[str, Interval]:
        return {name: known[name] for name in known if outcomes[name] == outcome}

    if worse := those("worse"):
        return False, f"It is worse than the champion: {_listed(worse)}."
    unsure = those("open")
    if not unsure:
        how = "better than" if those("better") else "level with"
        return True, f"It is {how} the champion: {_listed(known)}."
    if any(interval.low <= -reach for interval in unsure.values()):
        return False, (
            f"The test rows cannot rule out a loss of {reach:g} against the champion: "
            f"{_listed(unsure)}; add test rows."
        )
    if any(interval.value < 0 for interval in unsure.values()):
        return False, (
            f"The test rows cannot tell it from the champion, and the estimate is lower: "
            f"{_listed(unsure)}."
        )
    return True, (
        f"The test rows cannot tell it from the champion to within {tolerance:g}, "
        f"and no estimate is lower: {_listed(known)}."
    )


def _outcome(difference: Interval, tolerance: float) -> Outcome:
    if difference.low > 0:
        return "better"
    if difference.high < 0:
        return "worse"
    return "level" if difference.low > -tolerance else "open"


def _smaller_class(labels: NDArray[Any], campaigns: Sequence[Any] | NDArray[Any] | None) -> int:
    """In how many campaigns the class is there that is there in fewer."""
    names = np.arange(len(labels)) if campaigns is None else np.asarray(campaigns, dtype=object)
    return min(len(set(names[labels == label].tolist())) for label in (0, 1))


def _meets(name: str, value: float | None, floor: float) -> bool:
    if value is None:
        return False
    return value >= floor if METRICS[name].higher_is_better else value <= floor


def _below(
    missed: Sequence[str], figures: Mapping[str, float | None], floors: Mapping[str, float]
) -> str:
    parts = [
        f"{METRICS[name].title} is {_number(figures[name])} and has to be "
        f"{'at least' if METRICS[name].higher_is_better else 'at most'} {floors[name]:g}"
        for name in missed
    ]
    return f"It misses a floor: {', '.join(parts)}."


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _listed(differences: Mapping[str, Interval]) -> str:
    return ", ".join(
        f"{METRICS[name].title} {interval.signed()}" for name, interval in differences.items()
    )


def _decision(
    reason: str,
    figures: dict[str, float | None],
    *,
    promote: bool,
    comparisons: dict[str, Interval | None] | None = None,
) -> Decision:
    return Decision(
        promote=promote,
        alias="champion" if promote else "challenger",
        reason=reason,
        figures=figures,
        comparisons=comparisons or {},
    )
