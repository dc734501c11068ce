"""LIME: a linear model, fitted to the logits of the text without some of its words.

The values are the weights of a ridge regression over which words are there, each sample weighed by
its likeness to the text (Ribeiro, Singh and Guestrin, 2016). They need not sum to the logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rampart.explain.attribution import Attribution, Budget, Score
from rampart.explain.metering import Meter
from rampart.explain.units import Units
from rampart.features.base import Floats

METHOD = "lime"


def lime_values(
    score: Score,
    text: str,
    *,
    budget: Budget | None = None,
    seed: int = 0,
    samples: int = 1000,
    limit: int = 200,
    batch: int = 32,
) -> Attribution:
    """Explain a text by LIME; `base` is the intercept of the fitted model.

    Args:
        score: logits of texts.
        text: as sent.
        budget: fewer evaluations than `samples` make fewer samples.
        seed: of the samples.
        samples: that the linear model is fitted to, the text itself included.
        limit: words at the most; more are grouped into runs.
        batch: texts scored at once.

    Raises:
        InputError: the model gives no finite logit for each text.
    """
    _explainer(seed)  # What it takes to import is not the text's to pay.
    meter = Meter(score, Units.of(text, limit), budget or Budget(evaluations=samples + 1), batch)
    if not len(meter.units):
        return meter.attribution(np.zeros(0), method=METHOD, seed=seed, complete=True)
    # LIME draws all its samples before the first is scored, so far more than there is time for
    # would leave none; the first pace may be a slow one.
    drawn = min(samples, meter.left + 1, 2 * meter.likely + 1)
    base, value, used = _fitted(meter, drawn, seed)
    complete = used >= samples
    return meter.attribution(value, method=METHOD, seed=seed, base=base, complete=complete)


def _fitted(meter: Meter, samples: int, seed: int) -> tuple[float, Floats, int]:
    """Intercept and weights of the linear model, and how many samples it was fitted to."""
    count = len(meter.units)
    explainer = _explainer(seed)
    fit = _Scored(explainer.base)
    explainer.base = fit

    def scored(stand_ins: Sequence[str]) -> Floats:
        keeps = np.zeros((len(stand_ins), count), dtype=bool)
        for row, stand_in in enumerate(stand_ins):
            keeps[row, [int(number) for number in stand_in.split()]] = True
        found = np.append(meter.logit, meter(keeps[1:]))
        fit.rows = len(found)
        return np.append(found, np.zeros(len(keeps) - len(found)))[:, None]

    # LIME splits and joins a text in a way of its own; what it gets is the words' numbers.
    explanation = explainer.explain_instance(
        " ".join(map(str, range(count))),
        scored,
        labels=(0,),
        num_features=count,
        num_samples=samples,
    )
    value = np.zeros(count)
    for unit, weight in explanation.local_exp[0]:
        value[int(explanation.domain_mapper.indexed_string.word(unit))] = weight
    return float(explanation.intercept[0]), value, fit.rows


def _explainer(seed: int) -> Any:
    from lime.lime_text import LimeTextExplainer

    return LimeTextExplainer(
        split_expression=r"\s+",
        feature_selection="none",
        class_names=["logit"],
        random_state=np.random.RandomState(seed),
    )


class _Scored:
    """LIME's own fit, on those samples that there was time to score."""

    def __init__(self, base: Any) -> None:
        self.rows = 0
        self._base = base

    def explain_instance_with_data(
        self, data: Floats, labels: Floats, distances: Floats, *others: Any, **options: Any
    ) -> Any:
        if self.rows == 1:
            alone = float(labels[0, 0])
            return alone, [], 0.0, alone
        rows = slice(self.rows)
        return self._base.explain_instance_with_data(
            data[rows], labels[rows], distances[rows], *others, **options
        )
