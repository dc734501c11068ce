"""Which of the ways to make an encoder cheaper to serve.

The cheapest one is served that loses no more than a stated quality; what every one costs and loses
is kept, so that the choice can be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from rampart.compression.costs import Cost, measure_cost, shape_name
from rampart.compression.ways import FLOAT, REFERENCES, VARIANTS, Source
from rampart.data.cleaning import AlignedText
from rampart.data.labelled import Labelled
from rampart.data.step import Progress
from rampart.errors import InputError
from rampart.evaluation.metrics import measure, threshold_at_fpr
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import fit_platt
from rampart.models.encoder import EncoderModel

JUDGED_BY = shape_name(1, 128)
"""The batch whose time makes one variant cheaper than another."""

TOLERANCE = 0.002
_FALSE_POSITIVES = 0.01


class Variant(BaseModel):
    """What became of one way.

    Attributes:
        name: of the way.
        note: what was done.
        cost: what it costs.
        f1: on validation texts, at its own threshold; None where it is not served.
        recall: at 1 % false positives.
        changed: share of verdicts that are others than the float encoder's.
        front: whether no other is both quicker and better.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    note: str
    cost: Cost
    f1: float | None = None
    recall: float | None = None
    changed: float | None = None
    front: bool = False

    @property
    def time(self) -> float:
        """CPU milliseconds of the batch that counts, or of the longest single text there is."""
        alone = [time for name, time in self.cost.time.items() if name.startswith("1x")]
        return self.cost.time.get(JUDGED_BY, alone[-1]).p50


class Comparison(BaseModel):
    """All variants, and which one is served.

    Attributes:
        variants: float first.
        chosen: name of the one.
        reason: why.
        tolerance: F1 that the choice might lose.
        texts: validation texts that they were judged on.
    """

    model_config = ConfigDict(frozen=True)

    variants: tuple[Variant, ...]
    chosen: str
    reason: str
    tolerance: float
    texts: int


def named(names: str) -> tuple[str, ...]:
    """Variants by a list with commas, float first.

    Raises:
        InputError: there is none of that name.
    """
    found = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in found:
        if name not in VARIANTS:
            raise InputError(
                f"There is no variant {name!r} of the encoder.",
                f"Choose from {', '.join(VARIANTS)}, with commas between them.",
            )
    return (FLOAT, *(name for name in found if name != FLOAT))


def compare(
    source: Source,
    names: Sequence[str],
    judged: Labelled,
    work: Path,
    *,
    tolerance: float = TOLERANCE,
    on_progress: Progress | None = None,
) -> Comparison:
    """Make variants, measure each, and choose.

    Args:
        source: what they are made from.
        names: of variants, float first.
        judged: cleaned validation texts with labels.
        work: folder; each variant is left in one of its name there.
        tolerance: F1 that the served variant may lose on them.
        on_progress: called with variants done and variants in all.

    Raises:
        TrainingError: a variant cannot be made or does not run.
    """
    variants: list[Variant] = []
    before: np.ndarray | None = None
    for done, name in enumerate(names):
        if on_progress:
            on_progress(done, len(names))
        folder = work / name
        note = VARIANTS[name](source, folder)
        variant = Variant(name=name, note=note, cost=measure_cost(folder))
        if name not in REFERENCES:
            texts = [AlignedText.plain(text) for text in judged.texts]
            logit = EncoderModel.load(folder).score(texts, explain=False).logit
            figures, verdicts = _quality(logit, judged.labels)
            before = verdicts if before is None else before
            changed = float(np.mean(verdicts != before))
            variant = variant.model_copy(update={**figures, "changed": changed})
        variants.append(variant)
    if on_progress:
        on_progress(len(names), len(names))
    return choose(variants, tolerance, len(judged.texts))


def choose(variants: Sequence[Variant], tolerance: float, texts: int) -> Comparison:
    """The cheapest of the variants whose F1 is within the tolerance of the first one's."""
    first = variants[0]
    fronts = [
        variant.model_copy(
            update={"front": variant.f1 is not None and _on_front(variant, variants)}
        )
        for variant in variants
    ]
    if first.f1 is None:
        raise InputError("The first variant was not judged.", "Put float first.")
    least = first.f1 - tolerance
    served = [variant for variant in variants if variant.f1 is not None]
    good = [variant for variant in served if variant.f1 is not None and variant.f1 >= least - 1e-12]
    best = min(good, key=lambda variant: variant.time)
    bad = [variant.name for variant in served if variant not in good]
    change = (best.f1 or 0.0) - first.f1
    reason = (
        f"{best.name} takes {best.time:.1f} ms a text of 128 tokens, {best.time / first.time:.2f} "
        f"of {first.name}'s; its F1 on {texts} validation texts is {change:+.4f} off, where "
        f"-{tolerance:g} is allowed."
        if best is not first
        else f"Nothing that is cheaper stays within {tolerance:g} F1 on {texts} validation texts."
    )
    if bad:
        reason += f" Refused for what they lose: {', '.join(bad)}."
    return Comparison(
        variants=tuple(fronts), chosen=best.name, reason=reason, tolerance=tolerance, texts=texts
    )


def _on_front(variant: Variant, variants: Sequence[Variant]) -> bool:
    """Whether no other variant is at least as quick and as good, and one of the two more so."""
    own = (variant.time, -(variant.f1 or 0.0))
    others = [(other.time, -other.f1) for other in variants if other.f1 is not None]
    return not any(other[0] <= own[0] and other[1] <= own[1] and other != own for other in others)


def _quality(logit: Floats, labels: np.ndarray) -> tuple[dict[str, float | None], np.ndarray]:
    probability = sigmoid(fit_platt(logit, labels)(logit))
    limit = threshold_at_fpr(labels, probability, _FALSE_POSITIVES)
    figures = measure(Scored.of(labels, probability, limit))
    return {"f1": figures["f1"], "recall": figures["recall_at_1_fpr"]}, probability >= limit
