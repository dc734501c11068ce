"""What a worker evaluates: a trial's values for a study's target, as figures by objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from rampart.tuning.pool import Fold, Pool
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.spaces import suggested
from rampart.tuning.steps import Steps


class Evaluation:
    """Evaluates trials of one study; what they share is made at the first of them.

    Args:
        pool: rows that trials may see.
        settings: of the study.
        cache: folder where what trials share is kept.
    """

    def __init__(self, pool: Pool, settings: StudySettings, cache: Path) -> None:
        self.pool = pool
        self.settings = settings
        self.cache = cache
        self.folds: list[Fold] = pool.folds(settings.folds, settings.seed)
        self._shared: Any = None

    def __call__(self, trial: optuna.Trial, steps: Steps) -> tuple[float, ...]:
        """A trial's figures, in the objectives' order.

        Raises:
            RampartError: the values cannot be used.
            HaltedError: the worker was asked to stop.
            optuna.TrialPruned: other trials did better.
        """
        figures = self.figures(suggested(trial, self.settings), steps)
        return tuple(figures[name] for name in self.settings.objectives)

    def figures(self, parameters: Parameters, steps: Steps) -> dict[str, float]:
        """The same for given values: `recall`, and `cost` where it is asked."""
        values = {**self.settings.parameters, **parameters}
        self.prepare(steps)
        given = (self.settings, values, steps)
        match self.settings.target:
            case "ngram":
                from rampart.tuning.ngram_trials import ngram_trial

                return ngram_trial(self._shared, self.folds, *given)
            case "tabular":
                from rampart.tuning.tabular_trials import tabular_trial

                return tabular_trial(self._shared, self.folds, *given)
            case "encoder":
                from rampart.tuning.encoder_trials import encoder_trial

                return encoder_trial(self.pool, self.folds, *given)
            case "ensemble":
                from rampart.tuning.weighing_trials import ensemble_trial

                return ensemble_trial(self._shared, *given)
            case "cascade":
                from rampart.tuning.weighing_trials import cascade_trial

                return cascade_trial(self._shared, *given)

    def prepare(self, steps: Steps) -> None:
        """Make what trials share, or map what was made before.

        Raises:
            TrainingError: a model of an ensemble cannot be fitted.
            HaltedError: the worker was asked to stop.
        """
        target = self.settings.target
        if self._shared is not None or target == "encoder":
            return
        if target == "ngram":
            from rampart.tuning.ngram_trials import NgramPool

            self._shared = NgramPool.of(self.pool, self.cache)
        elif target == "tabular":
            from rampart.tuning.tabular_trials import TabularPool

            self._shared = TabularPool.of(self.pool, self.cache)
        else:
            from rampart.tuning.weighing_trials import WeighedPool

            self._shared = WeighedPool.of(self.pool, self.folds, self.settings, self.cache, steps)
