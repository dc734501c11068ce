"""A cascade: cheap models settle what they are sure of, and the whole ensemble settles the rest.

What a stage is sure of is a band of its calibrated probability. Bands are tried from the one that
settles least to the one that settles most, and the last is taken up to which every one has stood
the test: on held-out texts, an exact upper bound (Clopper and Pearson, 1934) on how often a verdict
that the whole ensemble gets right turns wrong stays within a tolerance. The order is fixed before
a text is seen, so that trying many bands costs nothing of the confidence (fixed-sequence testing:
Angelopoulos et al., "Learn then Test", 2021). Where not even the first band stands, there is no
cascade. Texts of one campaign are alike, so that a campaign counts once, and is harmed as soon as
one of its texts is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rampart.ensembles.base import Ensemble, Stage
from rampart.ensembles.voting import fit_voting
from rampart.errors import InputError
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration

NAME = "cascade"
DOUBTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""What a stage may doubt at the most: it settles below this probability and above 1 less it."""


class CascadeSettings(BaseModel):
    """What a cascade may cost in quality.

    Attributes:
        stages: models of each stage before the last, which asks all; cheapest first, and each has
            all that the one before it has. Those that the ensemble does not ask are left out.
        tolerance: share of campaigns in which a right verdict may turn wrong; 0 for no cascade.
        confidence: that no more do.
        doubt: the largest that may be taken, whatever stands the test: held-out texts are of the
            same days as those that the models were fitted on, and those to come are not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[tuple[str, ...], ...] = (("ngram", "tabular"),)
    tolerance: float = Field(default=0.01, ge=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    doubt: float = Field(default=0.05, gt=0, lt=0.5)


class Trial(BaseModel):
    """A band that was tried.

    Attributes:
        doubt: a stage settles below this probability and above 1 less it.
        settled: share of texts settled before the last stage.
        changed: texts whose verdict is not the whole ensemble's.
        worse: campaigns in which a right verdict turned wrong.
        better: campaigns in which a wrong verdict turned right.
        bound: upper, on the share of campaigns that are made worse.
        f1: of all verdicts; None where it is undefined.
        recall: of all verdicts; None where it is undefined.
        stands: whether it may be taken: the bound and those before it are within the tolerance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    doubt: float
    settled: float
    changed: int
    worse: int
    better: int
    bound: float
    f1: float | None
    recall: float | None
    stands: bool


class CascadeReport(BaseModel):
    """Why an ensemble has a cascade or has none.

    Attributes:
        settings: what was asked.
        rows: held-out texts.
        campaigns: of these texts.
        f1: of the whole ensemble on them; None where it is undefined.
        recall: likewise.
        trials: the bands, in the order in which they were tried.
        doubt: of the band that was taken; None for no cascade.
        reason: in a sentence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: CascadeSettings
    rows: int
    campaigns: int
    f1: float | None = None
    recall: float | None = None
    trials: tuple[Trial, ...] = ()
    doubt: float | None = None
    reason: str


def fit_cascade(
    whole: Ensemble,
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
    *,
    threshold: float,
    campaigns: Sequence[str] = (),
    settings: CascadeSettings | None = None,
) -> tuple[Ensemble, CascadeReport]:
    """The ensemble with as much of a cascade before it as can be shown to be safe.

    Args:
        whole: of one stage, which settles what is left.
        logits: each model's raw logits of held-out texts, [n].
        calibrations: each model's own.
        labels: 0 and 1, [n].
        threshold: probability from which a text is a threat.
        campaigns: of each text; without them, each is one of its own.
        settings: what it may cost.

    Raises:
        InputError: a stage leaves out a model of the stage before it.
    """
    settings = settings or CascadeSettings()
    for stage, following in zip(settings.stages, settings.stages[1:], strict=False):
        if not set(stage) <= set(following):
            raise InputError(
                f"The stage {'+'.join(following)} leaves out a model of {'+'.join(stage)}.",
                "Give each stage all models of the one before it.",
            )
    _, campaign = np.unique(
        np.array(list(campaigns) or np.arange(len(labels)), dtype=str), return_inverse=True
    )
    before = _verdicts(whole, logits, threshold)
    right = before == labels
    known = CascadeReport(
        settings=settings,
        rows=len(labels),
        campaigns=int(campaign.max(initial=-1)) + 1,
        **_quality(before, labels),
        reason="No cascade was asked for.",
    )
    if not settings.tolerance:
        return whole, known
    had = [tuple(name for name in stage if name in whole.models) for stage in settings.stages]
    firsts = [
        _first(models, logits, calibrations, labels)
        for models in dict.fromkeys(had)
        if 0 < len(models) < len(whole.models)
    ]
    if not firsts:
        reason = "The ensemble asks no model beside those of the first stages."
        return whole, known.model_copy(update={"reason": reason})
    trials: list[Trial] = []
    stands = True
    for doubt in DOUBTS:
        tried = _banded(firsts, whole, doubt, threshold)
        verdict = _verdicts(tried, logits, threshold)
        worse = len(set(campaign[right & (verdict != labels)].tolist()))
        bound = upper_bound(worse, known.campaigns, settings.confidence)
        stands = stands and bound <= settings.tolerance and doubt <= settings.doubt
        trials.append(
            Trial(
                doubt=doubt,
                settled=float(np.mean(settled_by(tried, logits, threshold) < len(firsts))),
                changed=int(np.sum(verdict != before)),
                worse=worse,
                better=len(set(campaign[~right & (verdict == labels)].tolist())),
                bound=bound,
                **_quality(verdict, labels),
                stands=stands,
            )
        )
    standing = [trial for trial in trials if trial.stands]
    found = known.model_copy(update={"trials": tuple(trials)})
    if not standing:
        # The first, which settles least; the bound is about what the number of texts allows.
        fewest = f"a bound of {trials[0].bound:.4f} on {known.campaigns} campaigns"
        reason = (
            f"Not even the widest band stays within {settings.tolerance:g}: {fewest}. "
            "More held-out texts lower the bound."
        )
        return whole, found.model_copy(update={"reason": reason})
    taken = standing[-1]
    reason = (
        f"Verdicts that turn wrong: in {taken.worse} of {known.campaigns} campaigns, with "
        f"{settings.confidence:.0%} confidence in no more than {taken.bound:.2%}."
    )
    return _banded(firsts, whole, taken.doubt, threshold), found.model_copy(
        update={"doubt": taken.doubt, "reason": reason}
    )


def upper_bound(count: int, trials: int, confidence: float) -> float:
    """Clopper and Pearson's upper bound on a share, of which `count` of `trials` were seen."""
    from scipy.stats import beta

    if count >= trials:
        return 1.0
    return float(beta.ppf(confidence, count + 1, trials - count))


def settled_by(
    ensemble: Ensemble, logits: Mapping[str, Floats], threshold: float
) -> NDArray[np.int64]:
    """The number of the stage that settles each text, [n]."""
    stages = ensemble.stages
    number = np.full(len(next(iter(logits.values()))), len(stages) - 1, dtype=np.int64)
    for place in reversed(range(len(stages) - 1)):
        number[stages[place].sure(stages[place].combine(logits), threshold)] = place
    return number


def cascaded(ensemble: Ensemble, logits: Mapping[str, Floats], threshold: float) -> Floats:
    """Each text's logit by the stage that settles it, float64 [n]."""
    number = settled_by(ensemble, logits, threshold)
    by_stage = np.stack([stage.combine(logits) for stage in ensemble.stages])
    logit: Floats = by_stage[number, np.arange(len(number))]
    return logit


def _verdicts(
    ensemble: Ensemble, logits: Mapping[str, Floats], threshold: float
) -> NDArray[np.int8]:
    return (sigmoid(cascaded(ensemble, logits, threshold)) >= threshold).astype(np.int8)


def _first(
    models: Sequence[str],
    logits: Mapping[str, Floats],
    calibrations: Mapping[str, Calibration],
    labels: NDArray[np.int8],
) -> Stage:
    known = {name: logits[name] for name in models}
    (stage,) = fit_voting(known, calibrations, labels).stages
    return stage.model_copy(update={"name": "+".join(models)})


def _banded(firsts: Sequence[Stage], whole: Ensemble, doubt: float, threshold: float) -> Ensemble:
    band = min(doubt, threshold), max(1 - doubt, threshold)
    before = (stage.model_copy(update={"unsure": band}) for stage in firsts)
    return Ensemble(kind=NAME, stages=(*before, whole.stages[-1]))


def _quality(verdict: NDArray[np.int8], labels: NDArray[np.int8]) -> dict[str, float | None]:
    found = int(np.sum((verdict == 1) & (labels == 1)))
    flagged, threats = int(np.sum(verdict == 1)), int(np.sum(labels == 1))
    return {
        "f1": 2 * found / (flagged + threats) if flagged + threats else None,
        "recall": found / threats if threats else None,
    }
