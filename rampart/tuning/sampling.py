"""Optuna's samplers and pruners, so that a seed tells what is drawn.

A sampler is made anew for each trial, seeded by the study's seed and the trial's number: else
several workers, or one that begins again, would draw the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from rampart.tuning.trials import counted

FACTOR = 3
"""One in so many trials goes on at each rung."""


class SeededSampler(BaseSampler):
    """A sampler whose draws depend on the seed, the trial's number and what is known by then."""

    def __init__(self, kind: Literal["tpe", "random"], seed: int) -> None:
        self.kind = kind
        self.seed = seed
        self.inner = self._made(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Seed for this trial."""
        self.inner = self._made(trial.number)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler does that this stands for."""
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does that this stands for."""
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler does that this stands for."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """As the sampler does that this stands for."""
        self.inner.after_trial(study, trial, state, values)

    def _made(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.kind == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # Workers that draw at once keep away from each other's running trials.
            return TPESampler(seed=seed, constant_liar=True)


class _Counted:
    """A study as a pruner looks at it, without the attempts whose trial was run again.

    What a lost attempt had come to would stand in its rungs beside what the next one comes to.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        # Hyperband's brackets are studies of some of the trials: the next attempt may be elsewhere.
        self._whole: optuna.Study = getattr(study, "_study", study)
        self._storage = study._storage  # noqa: SLF001 - the pruner writes the rungs there
        self.direction = study.direction

    def get_trials(self, deepcopy: bool = True) -> list[FrozenTrial]:  # noqa: FBT001, FBT002
        last = {trial.number for trial in counted(self._whole.get_trials(deepcopy=False))}
        return [one for one in self._study.get_trials(deepcopy=deepcopy) if one.number in last]


class _Halving(SuccessiveHalvingPruner):
    def prune(self, study: Any, trial: FrozenTrial) -> bool:
        return super().prune(cast("optuna.Study", _Counted(study)), trial)


class _Brackets(HyperbandPruner):
    def _try_initialization(self, study: optuna.Study) -> None:
        super()._try_initialization(study)
        self._pruners = [
            _Halving(
                min_resource=self._min_resource,
                reduction_factor=self._reduction_factor,
                min_early_stopping_rate=bracket,
            )
            for bracket in range(len(self._pruners))
        ]


def pruner(name: Literal["asha", "hyperband", "none"], least: int, most: int) -> BasePruner:
    """The pruner of that name, for trials that take from `least` to `most` steps."""
    if name == "asha":
        return _Halving(min_resource=least, reduction_factor=FACTOR)
    if name == "hyperband":
        return _Brackets(min_resource=least, max_resource=max(most, least), reduction_factor=FACTOR)
    return NopPruner()
