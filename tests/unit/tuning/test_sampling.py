from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from rampart.tuning.sampling import SeededSampler, pruner
from rampart.tuning.trials import ERROR, counted, mend
from tests.unit.tuning.conftest import asked


def drawn(parts: tuple[int, ...], kind: str, seed: int = 0) -> list[float]:
    """What is drawn where a study is taken up once for each part, by a sampler of its own."""
    study = optuna.create_study(direction="maximize")
    for trials in parts:
        study.sampler = SeededSampler(kind, seed)  # type: ignore[arg-type]
        study.optimize(lambda trial: -((trial.suggest_float("x", 0, 1) - 0.3) ** 2), trials)
    return [trial.params["x"] for trial in study.trials]


def test_draws_depend_on_the_seed_and_the_number_and_not_on_who_draws() -> None:
    for kind in ("random", "tpe"):
        whole = drawn((25,), kind)
        assert drawn((12, 1, 12), kind) == whole
        assert drawn((25,), kind, seed=1) != whole
        assert len(set(whole)) == 25


def test_tpe_learns_from_former_trials_and_random_does_not() -> None:
    late = {kind: sum(abs(x - 0.3) for x in drawn((60,), kind)[30:]) for kind in ("tpe", "random")}
    assert late["tpe"] < late["random"] / 2


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", ["asha", "hyperband"])
@pytest.mark.parametrize("study_name", ["a", "b", "c", "d"])
def test_what_a_lost_attempt_had_come_to_prunes_nobody(name: str, study_name: str) -> None:
    settings = asked(retries=3)
    # Its name tells Hyperband's brackets; some trials come to each.
    study = optuna.create_study(
        study_name=study_name,
        direction="maximize",
        pruner=pruner(name, 1, 9),  # type: ignore[arg-type]
    )
    for _ in range(30):
        trial = study.ask()
        for step in (1, 3):
            trial.report(0.9, step)
            trial.should_prune()
        study.tell(trial, state=TrialState.FAIL)
        mend(study, settings)
        # The next attempt fails by itself before it has told anything.
        again = study.ask()
        again.set_user_attr(ERROR, "nothing to fit")
        study.tell(again, state=TrialState.FAIL)
    assert len(counted(study.get_trials())) == 30
    trial = study.ask()
    trial.report(0.2, 1)
    assert not trial.should_prune()
