"""What tuning gains, and what pruning saves: `make benchmark-tuning`.

First, for each seed a campaign split of the SpamAssassin corpus: a study of each model sees its
training and validation parts, and default and best parameters are measured once on its test part,
with 95 % intervals over whole campaigns. Then random search against ASHA: both draw the same values
in the same order, one runs every trial to its end, the other ends those that are behind. Compute is
processor time. What trials share (counted n-grams, features read) is made before and not counted.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import messages
from rampart.data import splits
from rampart.data.tables import read_table, write_table
from rampart.tuning.final import Final, measure
from rampart.tuning.objectives import Evaluation
from rampart.tuning.pool import Pool
from rampart.tuning.sampling import SeededSampler, pruner
from rampart.tuning.settings import StudySettings, Target
from rampart.tuning.spaces import resources
from rampart.tuning.steps import Steps
from rampart.tuning.studies import best_parameters, open_study, summary
from rampart.tuning.workers import run_workers

FOLDER = Path("build/benchmarks/tuning")
TRIALS: dict[str, int] = {"tabular": 60, "ngram": 40, "encoder": 8}
RACED: dict[str, int] = {"tabular": 36, "ngram": 27, "encoder": 8}
RACE_FOLDS = 3
THIRD = 1 / 3


@dataclass(frozen=True)
class Race:
    """Random search against ASHA on one split.

    Attributes:
        target: what was searched.
        seed: of the split and of the draws.
        trials: of random search.
        seconds: of processor time that random search took.
        best: it found.
        own: share of its seconds at which random search itself had found that.
        reached: share of these seconds at which ASHA had found as good; None where it did not.
        at_third: the best that ASHA had found after a third of them.
        random_at_third: the same of random search.
        pruned: share of ASHA's trials that were ended early.
        steps: share of random search's steps that ASHA took for the same trials.
        same: share of random search's seconds that ASHA took for the same trials.
    """

    target: str
    seed: int
    trials: int
    seconds: float
    best: float
    own: float
    reached: float | None
    at_third: float
    random_at_third: float
    pruned: float
    steps: float
    same: float


@dataclass(frozen=True)
class Lap:
    """One trial: seconds of all up to its end, steps of its own, its figure where it ended."""

    seconds: float
    steps: int
    value: float | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--race-seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--targets", nargs="*", default=["tabular", "ngram"], choices=TRIALS)
    parser.add_argument("--trials", type=int, default=0, help="for each study; 0 for ours")
    parser.add_argument("--folds", type=int, default=5, help="of a study")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sample", type=int, default=800, help="mails for the encoder")
    parser.add_argument("--skip", choices=["gain", "race"], help="one of the two parts")
    given = parser.parse_args(arguments)
    console = Console(width=140)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = messages()
    tables = {}
    for seed in sorted({*given.seeds, *given.race_seeds}):
        tables[seed] = FOLDER / f"table-{seed}.parquet"
        write_table(splits.split(rows, seed=seed), tables[seed])
    begun = time.monotonic()
    for target in given.targets:
        asked = partial(StudySettings.of, name=target, target=target, sample=given.sample)
        if given.skip != "gain":
            trials = given.trials or TRIALS[target]
            found = {}
            for seed in given.seeds:
                settings = asked(seed=seed, trials=trials, folds=given.folds)
                _prepare(tables[seed], settings)
                found[seed] = _gain(tables[seed], settings, given.workers)
            console.print(_gains(target, trials, found))
        if given.skip != "race":
            runners = {
                tables[seed]: asked(
                    seed=seed, trials=given.trials or RACED[target], folds=RACE_FOLDS
                )
                for seed in given.race_seeds
            }
            console.print(_races(target, _raced(runners, given.workers)))
    console.print(f"{(time.monotonic() - begun) / 60:.0f} minutes with {given.workers} processes")


def _prepare(table: Path, settings: StudySettings) -> None:
    """Count and read once, so that no trial pays for it."""
    pool = Pool.of(read_table(table))
    Evaluation(pool, settings, FOLDER).prepare(Steps.free())


def _gain(table: Path, settings: StudySettings, workers: int) -> tuple[Final, float]:
    """A study to its end, then the test part once; with the seconds that its trials took."""
    with TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/studies.db"
        open_study(storage, settings)
        run_workers(storage, settings.name, table, workers=workers, cache=FOLDER)
        took = summary(storage, settings.name).seconds
        best = best_parameters(storage, settings.name)
    return measure(read_table(table), settings, best, cache=FOLDER), took


def _gains(target: str, trials: int, found: dict[int, tuple[Final, float]]) -> Table:
    table = Table(
        "seed", "", "recall at 1 % FPR", "F1", "PR-AUC",
        title=f"{target}: tuned in {trials} trials (TPE, ASHA) against default, on the test part",
    )  # fmt: skip
    for seed, (final, took) in found.items():
        for name, figures in final.figures.items():
            table.add_row(str(seed), name, *(str(figure) for figure in figures.values()))
        gains = [figure.signed() for figure in final.difference.values()]
        table.add_row("", "difference", *gains)
        values = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                           for name, value in final.parameters.items())  # fmt: skip
        table.add_row("", f"{took:.0f} s of trials", values, "", "", end_section=True)
    for name in ("default", "tuned"):
        means = [
            np.mean([final.figures[name][metric].value for final, _ in found.values()])
            for metric in next(iter(found.values()))[0].titles
        ]
        table.add_row("mean", name, *(f"{mean:.4f}" for mean in means))
    return table


def _raced(runners: dict[Path, StudySettings], workers: int) -> list[Race]:
    # A thread each, and none of the parent's.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_race, runners.keys(), runners.values()))


def _race(table: Path, settings: StudySettings) -> Race:
    """Random search to its end, then ASHA on the same draws for as long at the most."""
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    evaluate = Evaluation(Pool.of(read_table(table)), settings, FOLDER)
    evaluate.prepare(Steps.free())
    trials = settings.trials or 1
    slow = _searched(evaluate, prunes=False, trials=trials, seconds=float("inf"))
    whole, best = slow[-1].seconds, _best(slow)
    quick = _searched(evaluate, prunes=True, trials=20 * trials, seconds=whole)
    hit = next((lap.seconds for lap in quick if lap.value is not None and lap.value >= best), None)
    same = quick[:trials]
    return Race(
        target=settings.target,
        seed=settings.seed,
        trials=trials,
        seconds=whole,
        best=best,
        own=next(lap.seconds for lap in slow if lap.value == best) / whole,
        reached=None if hit is None else hit / whole,
        at_third=_best([lap for lap in quick if lap.seconds <= whole * THIRD]),
        random_at_third=_best([lap for lap in slow if lap.seconds <= whole * THIRD]),
        pruned=sum(lap.value is None for lap in quick) / len(quick),
        steps=sum(lap.steps for lap in same) / sum(lap.steps for lap in slow[: len(same)]),
        same=same[-1].seconds / slow[len(same) - 1].seconds,
    )


def _searched(evaluate: Evaluation, *, prunes: bool, trials: int, seconds: float) -> list[Lap]:
    settings = evaluate.settings
    study = optuna.create_study(
        direction=settings.directions[0],
        sampler=SeededSampler("random", settings.seed),
        pruner=pruner("asha" if prunes else "none", *resources(settings)),
    )
    laps: list[Lap] = []
    spent = 0.0
    target: Target = settings.target
    while len(laps) < trials and spent < seconds:
        begun = time.process_time()
        # Both report, so that both pay for it; where all have to fit in parts, only one does.
        study.optimize(
            lambda trial: evaluate(trial, Steps(trial, prunes=prunes or target == "tabular")), 1
        )
        spent += time.process_time() - begun
        trial = study.trials[-1]
        told = sorted(trial.intermediate_values)
        steps = sum(told) if target == "ngram" else max(told, default=0)
        ended = trial.state == TrialState.COMPLETE
        laps.append(Lap(spent, steps or 9, trial.values[0] if ended else None))
    return laps


def _best(laps: Sequence[Lap]) -> float:
    return max((lap.value for lap in laps if lap.value is not None), default=float("nan"))


def _races(target: str, races: Sequence[Race]) -> Table:
    table = Table(
        "seed", "random: trials, seconds", "best", "found at", "ASHA as good at", "pruned",
        "same trials: steps, seconds", "after a third: ASHA", "random",
        title=f"{target}: ASHA against random search, the same draws",
    )  # fmt: skip
    for race in races:
        table.add_row(
            str(race.seed),
            f"{race.trials}, {race.seconds:.0f} s",
            f"{race.best:.4f}",
            f"{race.own:.0%}",
            "not within 100 %" if race.reached is None else f"{race.reached:.0%}",
            f"{race.pruned:.0%}",
            f"{race.steps:.0%}, {race.same:.0%}",
            f"{race.at_third:.4f}",
            f"{race.random_at_third:.4f}",
        )
    # One that never came there counts as the last.
    reached = [race.reached if race.reached is not None else float("inf") for race in races]
    table.caption = (
        f"ASHA was as good within a third in {sum(share <= THIRD for share in reached)} of "
        f"{len(races)}; the middle one at {np.median(reached):.0%}."
    )
    return table


if __name__ == "__main__":
    main()
