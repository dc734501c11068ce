"""How a trial tells how far it is, and hears that it need not go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna

Tell = Callable[[int, float], None]


class HaltedError(Exception):
    """A trial was broken off because the study or its worker was asked to stop."""


class Steps:
    """The steps of one trial.

    Attributes:
        value: reported last.
        step: reported last.
    """

    def __init__(
        self, trial: optuna.Trial, *, prunes: bool, halted: Callable[[], bool] = lambda: False
    ) -> None:
        self.trial = trial
        self.prunes = prunes
        self.halted = halted
        self.value = float("nan")
        self.step = 0

    @classmethod
    def free(cls) -> Steps:
        """Steps that nobody prunes or stops, and that are of no trial."""
        nobody: Any = None
        return cls(nobody, prunes=False)

    def check(self) -> None:
        """Go on, or not.

        Raises:
            HaltedError: the worker was asked to stop.
        """
        if self.halted():
            raise HaltedError

    def __call__(self, step: int, value: float) -> None:
        """Report a value after a step; higher is better, whatever the study's figure is.

        Raises:
            HaltedError: the worker was asked to stop.
            optuna.TrialPruned: other trials did better by this step.
        """
        self.check()
        self.step, self.value = step, value
        if not self.prunes:
            return
        self.trial.report(value, step)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"behind others at step {step}")
