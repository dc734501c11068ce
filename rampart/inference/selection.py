"""Which of a bundle's models a call asks: the ensemble, one, some or all of them.

Weights come with the bundle and with nothing else: a call names models, and never says how much
each counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rampart.bundle.manifest import Manifest
from rampart.ensembles.base import Stage
from rampart.errors import InputError

ALL = "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """What answers a call.

    Attributes:
        stages: in the order in which they are asked; the last one settles all.
        threshold: probability from which a text is a threat, unless the call says another.
        asked: models that are asked in any case, beside those of the stages.
    """

    stages: Sequence[Stage]
    threshold: float
    asked: Sequence[str] = ()


def select(manifest: Manifest, models: Sequence[str] | None) -> Selection:
    """What answers a call for these models.

    Args:
        manifest: of the bundle.
        models: None for the ensemble; `all` for the ensemble with every model asked; one model's
            name for its own verdict at its own threshold; several for the mean of their calibrated
            logits at the bundle's threshold.

    Raises:
        InputError: none is named, or one that the bundle does not have.
    """
    ensemble = manifest.ensemble.stages
    if models is None:
        return Selection(ensemble, manifest.threshold)
    entries = {entry.name: entry for entry in manifest.models}
    chosen = list(dict.fromkeys(models))
    if chosen == [ALL]:
        return Selection(ensemble, manifest.threshold, tuple(entries))
    unknown = [name for name in chosen if name not in entries]
    if unknown or not chosen:
        raise InputError(
            f"The bundle has no model {unknown[0]!r}." if unknown else "No model is named.",
            f"Its models are {', '.join(entries)}; {ALL} asks all of them.",
        )
    share = 1.0 / len(chosen)
    scales = {name: entries[name].calibration for name in chosen}
    stage = Stage(
        name="+".join(chosen),
        weights={name: share * scale.scale for name, scale in scales.items()},
        intercept=sum(share * scale.shift for scale in scales.values()),
    )
    alone = entries[chosen[0]].threshold
    return Selection((stage,), alone if len(chosen) == 1 else manifest.threshold)
