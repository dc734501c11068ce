"""The figure that counts: default and tuned parameters on the test part that no trial has seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from rampart.data.labelled import Labelled
from rampart.ensembles.cascade import cascaded, fit_cascade
from rampart.errors import DataError
from rampart.evaluation.intervals import bootstrap
from rampart.evaluation.metrics import METRICS, threshold_at_fpr
from rampart.evaluation.scored import Scored
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import fit_platt
from rampart.resampling import RESAMPLES, Interval
from rampart.tuning.pool import Fold, Pool, fingerprint
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.spaces import defaults
from rampart.tuning.steps import Steps

DEFAULT, TUNED = "default", "tuned"
SHOWN = ("recall_at_1_fpr", "f1", "pr_auc")
_RATE = 0.01


class Final(BaseModel):
    """Default and tuned parameters on the same test rows.

    Attributes:
        rows: of the test part.
        positives: threats among them.
        figures: of `default` and `tuned`, each metric with its interval.
        difference: tuned less default, paired on the same resamples.
        parameters: that were tuned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    positives: int
    figures: dict[str, dict[str, Interval]]
    difference: dict[str, Interval]
    parameters: dict[str, str | int | float]

    @property
    def titles(self) -> dict[str, str]:
        """Of the metrics, for people."""
        return {name: METRICS[name].title for name in SHOWN}

    def flat(self) -> dict[str, float]:
        """Figures by a name each, as metrics are logged."""
        values = {
            f"{model}_{metric}": interval.value
            for model, metrics in self.figures.items()
            for metric, interval in metrics.items()
        }
        gained = {f"gain_{metric}": interval.value for metric, interval in self.difference.items()}
        return {name: round(value, 4) for name, value in (values | gained).items()}


def measure(
    table: pd.DataFrame,
    settings: StudySettings,
    tuned: Parameters,
    *,
    cache: Path,
    column: str = "split",
    resamples: int = RESAMPLES,
) -> Final:
    """Fit with default and with tuned parameters, and measure both once on the test part.

    Models are fitted on the training part; on validation boosting and epochs stop, weights are
    chosen and thresholds put, as in the training pipeline.

    Args:
        table: split messages, all parts.
        settings: of the study.
        tuned: its best, as the training pipeline takes them.
        cache: folder where what fits share is kept.
        column: the split.
        resamples: of the intervals.

    Raises:
        DataError: a part lacks a class.
        TrainingError: a model cannot be fitted.
    """
    parts = table[table[column].isin(("train", "validation", "test"))].reset_index(drop=True)
    train, watched, judged = (
        np.flatnonzero((parts[column] == part).to_numpy())
        for part in ("train", "validation", "test")
    )
    labels = parts["label"].to_numpy(dtype=np.int8)
    for rows, part in ((train, "train"), (watched, "validation"), (judged, "test")):
        if set(labels[rows].tolist()) != {0, 1}:
            raise DataError(f"The {part} part of {column} lacks a class.", "Split the table anew.")
    # What is kept by this name holds the test rows too, and the parts by their places.
    whole = fingerprint(parts, "text", "clean", "label", "campaign", column)
    pool = Pool(Labelled.of(parts), f"{whole}-whole")
    fold = Fold(train, watched, judged)
    scored = {}
    for name, parameters in ((DEFAULT, defaults(settings)), (TUNED, tuned)):
        logits = _said(pool, fold, settings, {**settings.parameters, **parameters}, cache)
        scale = fit_platt(logits[0], labels[watched])
        stopped, tested = (sigmoid(scale(part)) for part in logits)
        threshold = threshold_at_fpr(labels[watched], stopped, _RATE)
        scored[name] = Scored.of(labels[judged], tested, threshold)
    drawn = bootstrap(
        scored,
        campaigns=[pool.rows.campaigns[row] for row in judged.tolist()],
        resamples=resamples,
        seed=settings.seed,
    )
    return Final(
        rows=len(judged),
        positives=int(labels[judged].sum()),
        figures={
            name: {metric: _known(drawn.interval(name, metric)) for metric in SHOWN}
            for name in scored
        },
        difference={metric: _known(drawn.difference(TUNED, DEFAULT, metric)) for metric in SHOWN},
        parameters=dict(tuned),
    )


def _said(
    pool: Pool, fold: Fold, settings: StudySettings, parameters: Parameters, cache: Path
) -> tuple[Floats, Floats]:
    """Logits of the watched rows and of the judged ones."""
    both = np.concatenate([fold.watched, fold.judged])
    cut = len(fold.watched)
    match settings.target:
        case "ngram":
            from rampart.tuning import ngram_trials

            counted = ngram_trials.NgramPool.of(pool, cache)
            logit, _ = counted.fit(fold.train, both, ngram_trials.training_of(parameters))
        case "tabular":
            from rampart.tuning import tabular_trials

            data = tabular_trials.TabularPool.of(pool, cache)
            boosted = tabular_trials.training_of(parameters, settings)
            logit = data.fit(fold.train, fold.watched, both, boosted)
        case "encoder":
            from rampart.tuning import encoder_trials

            training = encoder_trials.training_of(parameters, settings)
            network = encoder_trials.Scored.trained(pool, fold, training, Steps.free(), tells=False)
            logit = network([pool.rows.texts[row] for row in both.tolist()])
        case weighed:
            return _weighed(pool, fold, settings, parameters, cache, cascade=weighed == "cascade")
    return logit[:cut], logit[cut:]


def _weighed(
    pool: Pool,
    fold: Fold,
    settings: StudySettings,
    parameters: Parameters,
    cache: Path,
    *,
    cascade: bool,
) -> tuple[Floats, Floats]:
    from rampart.tuning.weighing_trials import WeighedPool, cascade_settings, combined

    said = WeighedPool.of(pool, [fold], settings, cache, Steps.free()).said[0]
    whole, calibrations = combined(said, parameters, pool)
    if not cascade:
        last = whole.stages[-1]
        return last.combine(said.watched), last.combine(said.judged)
    labels = pool.rows.labels[fold.watched]
    threshold = threshold_at_fpr(labels, sigmoid(whole.stages[-1].combine(said.watched)), _RATE)
    ensemble, _ = fit_cascade(
        whole, said.watched, calibrations, labels,
        threshold=threshold,
        campaigns=[pool.rows.campaigns[row] for row in fold.watched.tolist()],
        settings=cascade_settings(settings, parameters),
    )  # fmt: skip
    return cascaded(ensemble, said.watched, threshold), cascaded(ensemble, said.judged, threshold)


def _known(interval: Interval | None) -> Interval:
    if interval is None:
        raise DataError("A figure is undefined on the test part.", "Give both classes.")
    return interval
