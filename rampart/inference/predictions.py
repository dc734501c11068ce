"""A bundle's answers to a labelled table, model by model: what evaluation measures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rampart.ensembles.cascade import NAME as CASCADE
from rampart.ensembles.cascade import cascaded
from rampart.inference.engine import Engine
from rampart.models.base import Floats, sigmoid

_CHUNK = 128


def predictions(
    engine: Engine, table: pd.DataFrame, *, on_progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Probabilities of every model and of the ensemble, one column each.

    Args:
        engine: the bundle.
        table: messages with their text as sent, labels, groups and campaigns.
        on_progress: told the rows done and the rows in all.

    Returns:
        id, label, group, campaign, has_html, characters, and one float64 column for each model,
        calibrated as in the manifest; the ensemble's own is named after its last stage, and one
        column more, `cascade`, is what is served where texts are settled early.
    """
    texts = table["text"].tolist()
    raw: dict[str, list[Floats]] = {name: [] for name in engine.models}
    for first in range(0, len(texts), _CHUNK):
        for name, logit in engine.logits(texts[first : first + _CHUNK]).items():
            raw[name].append(logit)
        if on_progress is not None:
            on_progress(min(first + _CHUNK, len(texts)), len(texts))
    logits = {name: np.concatenate([np.zeros(0), *parts]) for name, parts in raw.items()}
    known = table[["id", "label", "group", "campaign", "has_html"]].reset_index(drop=True)
    known["characters"] = [len(text) for text in texts]
    for entry in engine.manifest.models:
        known[entry.name] = sigmoid(entry.calibration(logits[entry.name]))
    ensemble = engine.manifest.ensemble
    if len(ensemble.stages) > 1:
        known[CASCADE] = sigmoid(cascaded(ensemble, logits, engine.manifest.threshold))
    stage = ensemble.stages[-1]
    known[stage.name] = sigmoid(stage.combine(logits))
    return known


def thresholds(engine: Engine) -> dict[str, float]:
    """The decision threshold of each column that `predictions` gives; the ensemble's comes last."""
    manifest = engine.manifest
    found = {entry.name: entry.threshold for entry in manifest.models}
    if len(manifest.ensemble.stages) > 1:
        found[CASCADE] = manifest.threshold
    return found | {manifest.ensemble.stages[-1].name: manifest.threshold}
