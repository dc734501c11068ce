from __future__ import annotations

import optuna

from rampart.tuning.sampling import SeededSampler


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
