"""Trials of ensembles and cascades: models are fitted once, and a trial weighs what they said.

Each is fitted on a fold's training texts. Calibrations, weights and bands are chosen on its watched
texts, and judged on others; stacking alone looks at logits out of fold of the training texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rampart.ensembles.base import Ensemble
from rampart.ensembles.cascade import CascadeSettings, cascaded, fit_cascade, settled_by
from rampart.ensembles.stacking import fit_stacking
from rampart.ensembles.voting import fit_soft_voting, fit_voting, fit_weighed_voting
from rampart.evaluation.metrics import threshold_at_fpr
from rampart.models.base import Floats, Ints, sigmoid
from rampart.models.calibration import Calibration, fit_platt
from rampart.training.combination import FOLDS, SOFT, STACKING, VOTING
from rampart.training.folds import campaign_folds
from rampart.tuning import ngram_trials, tabular_trials
from rampart.tuning.figures import cost_of, recall
from rampart.tuning.kept import Arrays, code, digest, kept
from rampart.tuning.ngram_trials import NgramPool
from rampart.tuning.pool import Fold, Pool
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.spaces import ENSEMBLE, OWN, shares_of
from rampart.tuning.steps import Steps
from rampart.tuning.tabular_trials import TabularPool

_CODE = ("training", "models", "features", "data/cleaning.py", "tuning")
_RATE = 0.01
Fit = Callable[[Ints, Ints], Floats]


@dataclass(frozen=True)
class Said:
    """What the models said of a fold, raw logits by model.

    Attributes:
        fold: the rows.
        watched: of the watched rows.
        judged: of the judged rows.
        out_of_fold: of the training rows, by fits without them; not of the encoder.
        costs: milliseconds of processor time a text.
    """

    fold: Fold
    watched: dict[str, Floats]
    judged: dict[str, Floats]
    out_of_fold: dict[str, Floats]
    costs: dict[str, float]


@dataclass(frozen=True)
class WeighedPool:
    """The pool as the models of an ensemble see it."""

    pool: Pool
    said: list[Said]

    @classmethod
    def of(
        cls, pool: Pool, folds: Sequence[Fold], settings: StudySettings, cache: Path, steps: Steps
    ) -> WeighedPool:
        """Fit the models on each fold, or map what they said before.

        Raises:
            TrainingError: one cannot be fitted.
            HaltedError: the worker was asked to stop.
        """
        found = []
        for number, fold in enumerate(folds):
            by_model = {}
            for name in settings.models:
                steps.check()
                own = {
                    key: value
                    for key, value in settings.parameters.items()
                    if key.startswith(f"{name}_")
                }
                more = (settings.base, settings.sample, settings.epochs) * (name == "encoder")
                key = digest(
                    "said", pool.fingerprint, name, number, settings.folds, settings.seed,
                    settings.rounds, sorted(own.items()), more, code(*_CODE),
                )  # fmt: skip
                made = partial(_MAKERS[name], pool, fold, settings, cache, steps)
                by_model[name] = kept(cache, key, made)
            found.append(
                Said(
                    fold,
                    {name: arrays["watched"] for name, arrays in by_model.items()},
                    {name: arrays["judged"] for name, arrays in by_model.items()},
                    {
                        name: arrays["out_of_fold"]
                        for name, arrays in by_model.items()
                        if len(arrays["out_of_fold"])
                    },
                    {name: float(arrays["cost"][0]) for name, arrays in by_model.items()},
                )
            )
        return cls(pool, found)


def ensemble_trial(
    weighed: WeighedPool, settings: StudySettings, parameters: Parameters, steps: Steps
) -> dict[str, float]:
    """Figures of one way to combine: the mean over the folds.

    Raises:
        HaltedError: the worker was asked to stop.
    """
    del settings
    labels = weighed.pool.rows.labels
    recalls, costs = [], []
    for said in weighed.said:
        steps.check()
        ensemble, _ = combined(said, parameters, weighed.pool)
        logit = ensemble.stages[-1].combine(said.judged)
        recalls.append(recall(logit, labels[said.fold.judged]))
        costs.append(sum(said.costs[name] for name in ensemble.models))
    return {"recall": float(np.mean(recalls)), "cost": float(np.mean(costs))}


def cascade_trial(
    weighed: WeighedPool, settings: StudySettings, parameters: Parameters, steps: Steps
) -> dict[str, float]:
    """Figures of one cascade before the ensemble: the mean over the folds.

    Raises:
        HaltedError: the worker was asked to stop.
    """
    labels, campaigns = weighed.pool.rows.labels, weighed.pool.rows.campaigns
    asked = cascade_settings(settings, parameters)
    recalls, costs = [], []
    for said in weighed.said:
        steps.check()
        whole, calibrations = combined(said, settings.parameters, weighed.pool)
        held = labels[said.fold.watched]
        threshold = threshold_at_fpr(held, sigmoid(whole.stages[-1].combine(said.watched)), _RATE)
        ensemble, _ = fit_cascade(
            whole,
            said.watched,
            calibrations,
            held,
            threshold=threshold,
            campaigns=[campaigns[row] for row in said.fold.watched],
            settings=asked,
        )
        logit = cascaded(ensemble, said.judged, threshold)
        recalls.append(recall(logit, labels[said.fold.judged]))
        costs.append(_cascade_cost(ensemble, said, threshold))
    return {"recall": float(np.mean(recalls)), "cost": float(np.mean(costs))}


def cascade_settings(settings: StudySettings, parameters: Parameters) -> CascadeSettings:
    """A cascade of all models but the dearest before all of them."""
    plain = CascadeSettings()
    return CascadeSettings(
        stages=(tuple(settings.models[:-1]),),
        tolerance=float(parameters.get("cascade_tolerance", plain.tolerance)),
        doubt=float(parameters.get("cascade_doubt", plain.doubt)),
    )


def combined(
    said: Said, parameters: Parameters, pool: Pool
) -> tuple[Ensemble, Mapping[str, Calibration]]:
    """The ensemble of a trial's values, and each model's own calibration, by the watched rows."""
    labels = pool.rows.labels[said.fold.watched]
    calibrations = {name: fit_platt(logit, labels) for name, logit in said.watched.items()}
    kind = str(parameters.get(ENSEMBLE, VOTING))
    if kind == SOFT:
        return fit_soft_voting(said.watched, calibrations, labels), calibrations
    if kind == STACKING:
        known = {name: said.watched[name] for name in said.out_of_fold}
        train = pool.rows.labels[said.fold.train]
        return fit_stacking(said.out_of_fold, train, known, labels), calibrations
    if kind == OWN or "=" in kind:
        own = fit_weighed_voting(said.watched, calibrations, labels, shares=shares_of(parameters))
        return own, calibrations
    return fit_voting(said.watched, calibrations, labels), calibrations


def _cascade_cost(ensemble: Ensemble, said: Said, threshold: float) -> float:
    """Of a text on average: each model once, and only where a stage that has it is asked."""
    settled = settled_by(ensemble, said.judged, threshold)
    spent, asked = 0.0, set[str]()
    for number, stage in enumerate(ensemble.stages):
        share = float(np.mean(settled >= number))
        new = set(stage.weights) - asked
        spent += share * sum(said.costs[name] for name in new)
        asked |= new
    return spent


def _ngram(pool: Pool, fold: Fold, settings: StudySettings, cache: Path, steps: Steps) -> Arrays:
    training = ngram_trials.training_of(settings.parameters)
    counted = NgramPool.of(pool, cache)
    both = np.concatenate([fold.watched, fold.judged])
    logit, fitted = counted.fit(fold.train, both, training)
    texts = pool.rows.rows(fold.judged).aligned()
    took = cost_of(counted.model(fitted, training), texts)

    def fit(train: Ints, held: Ints) -> Floats:
        return counted.fit(train, held, training)[0]

    return _arrays(pool, fold, logit, took, fit, settings, steps)


def _tabular(pool: Pool, fold: Fold, settings: StudySettings, cache: Path, steps: Steps) -> Arrays:
    training = tabular_trials.training_of(settings.parameters, settings)
    data = TabularPool.of(pool, cache)
    growing = tabular_trials.Growing(data, fold, training, pool.rows.labels)
    growing.grow(training.rounds)
    model = data.model(growing.trees())
    both = np.concatenate([fold.watched, fold.judged])
    logit: Floats = model.booster.predict(data.rows(both)[0], raw_score=True)
    took = cost_of(model, pool.rows.rows(fold.judged).aligned())

    def fit(train: Ints, held: Ints) -> Floats:
        return data.fit(train, fold.watched, held, training)

    return _arrays(pool, fold, logit, took, fit, settings, steps)


def _encoder(pool: Pool, fold: Fold, settings: StudySettings, cache: Path, steps: Steps) -> Arrays:
    from rampart.tuning import encoder_trials

    del cache
    training = encoder_trials.training_of(settings.parameters, settings)
    network = encoder_trials.Scored.trained(pool, fold, training, steps, tells=False)
    both = np.concatenate([fold.watched, fold.judged])
    logit = network([pool.rows.texts[row] for row in both])
    took = network.cost(pool.rows.rows(fold.judged).aligned())
    return _arrays(pool, fold, logit, took, None, settings, steps)


def _arrays(
    pool: Pool,
    fold: Fold,
    logit: Floats,
    took: float,
    fit: Fit | None,
    settings: StudySettings,
    steps: Steps,
) -> Arrays:
    out = np.zeros(len(fold.train) if fit else 0)
    if fit:
        number = campaign_folds(pool.rows.rows(fold.train), FOLDS, seed=settings.seed)
        for held in range(FOLDS):
            steps.check()
            out[number == held] = fit(fold.train[number != held], fold.train[number == held])
    return {
        "watched": logit[: len(fold.watched)],
        "judged": logit[len(fold.watched) :],
        "out_of_fold": out,
        "cost": np.array([took]),
    }


_MAKERS = {"ngram": _ngram, "tabular": _tabular, "encoder": _encoder}
