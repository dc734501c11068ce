"""A trial's fit is the training pipeline's own, whatever was cached for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from rampart.models.ngram import NgramSettings
from rampart.training.ngram import NgramTraining, fit_ngram
from rampart.training.tabular import TabularTraining, fit_tabular
from rampart.tuning.encoder_trials import Scored, encoder_trial
from rampart.tuning.figures import recall
from rampart.tuning.ngram_trials import NgramPool, ngram_trial
from rampart.tuning.pool import Pool
from rampart.tuning.spaces import shares_of
from rampart.tuning.steps import HaltedError, Steps
from rampart.tuning.tabular_trials import Growing, TabularPool
from rampart.tuning.weighing_trials import WeighedPool, cascade_trial, combined, ensemble_trial
from tests.unit.tuning.conftest import Run, asked


class Watched(Steps):
    """Steps that note what is told, and end the trial at one of them."""

    def __init__(self, until: int = 10**9, *, prunes: bool = True) -> None:
        super().__init__(None, prunes=prunes)
        self.told: list[tuple[int, float]] = []
        self.until = until

    def __call__(self, step: int, value: float) -> None:
        self.told.append((step, value))
        if step >= self.until:
            raise optuna.TrialPruned


@pytest.fixture(scope="module")
def pool(table: pd.DataFrame) -> Pool:
    return Pool.of(table)


@pytest.mark.parametrize(
    "training",
    [
        NgramTraining(),
        NgramTraining(ngrams=NgramSettings(words=1), regularisation=3.0, max_features=300),
        NgramTraining(ngrams=NgramSettings(words=2), min_documents=5),
    ],
)
def test_n_grams_fitted_from_counts_are_those_fitted_from_texts(
    pool: Pool, cache: Path, training: NgramTraining
) -> None:
    fold = pool.folds(1, seed=0)[0]
    counted = NgramPool.of(pool, cache)
    logit, fitted = counted.fit(fold.train, fold.judged, training)
    train = pool.rows.rows(fold.train)
    plain = fit_ngram(train.texts, train.labels, training)
    texts = pool.rows.rows(fold.judged).aligned()
    assert counted.model(fitted, training).words.vocabulary == plain.words.vocabulary
    np.testing.assert_allclose(logit, plain.score(texts, explain=False).logit, atol=1e-3)
    served = counted.model(fitted, training).score(texts, explain=False).logit
    np.testing.assert_allclose(logit, served, atol=1e-9)


@pytest.mark.parametrize("training", [TabularTraining(), TabularTraining(rounds=30, leaves=4)])
def test_trees_grown_step_by_step_are_those_grown_at_once(
    pool: Pool, cache: Path, training: TabularTraining
) -> None:
    fold = pool.folds(1, seed=0)[0]
    growing = Growing(TabularPool.of(pool, cache), fold, training, pool.rows.labels)
    while not growing.done:
        growing.grow(growing.rounds + 7)
    train, watched = pool.rows.rows(fold.train), pool.rows.rows(fold.watched)
    plain = fit_tabular(train, watched, training).booster
    assert growing.trees().num_trees() == plain.num_trees()
    values = growing.judged
    np.testing.assert_allclose(growing.trees().predict(values), plain.predict(values))


def test_n_grams_that_are_pruned_have_been_fitted_on_few_texts(pool: Pool, cache: Path) -> None:
    counted = NgramPool.of(pool, cache)
    folds = pool.folds(2, seed=0)
    seen: list[int] = []

    class Counting(NgramPool):
        def fit(self, train: Any, *rest: Any) -> Any:
            seen.append(len(train))
            return super().fit(train, *rest)

    counting = Counting(counted.pool, counted.words, counted.characters)
    settings = asked(target="ngram", folds=2)
    with pytest.raises(optuna.TrialPruned):
        ngram_trial(counting, folds, settings, {}, Watched(until=1))
    assert seen == [len(fold.part(1 / 9, pool.rows.labels, 0)) for fold in folds]
    seen.clear()
    ngram_trial(counting, folds, settings, {}, Watched(prunes=False))
    assert seen == [len(fold.train) for fold in folds]


def test_a_fit_without_a_frequent_n_gram_says_so(run: Run, table: pd.DataFrame) -> None:
    words = [chr(0x4E00 + number) * 6 for number in range(len(table))]
    alone = table.assign(text=words, clean=words)
    study = run(asked(target="ngram", trials=1, parameters={"ngram_min_documents": 10}), alone)
    trial = study.get_trials()[0]
    assert trial.state.name == "FAIL"
    assert "n-gram" in trial.user_attrs["error"]


def test_the_encoder_tells_each_epoch_and_can_be_ended_after_one(
    pool: Pool, base_encoder: Path
) -> None:
    parameters = {"encoder_tokens": 48, "encoder_tail": 12, "encoder_learning_rate": 5e-3}
    settings = asked(target="encoder", base=str(base_encoder), epochs=3)
    folds = pool.folds(1, seed=0)
    steps = Watched()
    figures = encoder_trial(pool, folds, settings, parameters, steps)
    assert 0.0 <= figures["recall"] <= 1.0
    assert [step for step, _ in steps.told] == list(range(1, len(steps.told) + 1))
    assert len(steps.told) > 1
    assert all(value < 0 for _, value in steps.told)
    pruned = Watched(until=1)
    with pytest.raises(optuna.TrialPruned):
        encoder_trial(pool, folds, settings, parameters, pruned)
    assert len(pruned.told) == 1


def test_the_networks_logits_are_those_of_the_exported_encoder(
    pool: Pool, base_encoder: Path, tmp_path: Path
) -> None:
    from rampart.compression.onnx import export_encoder
    from rampart.models.encoder import EncoderModel, WindowSettings
    from rampart.training.encoder import EncoderTraining, train_encoder

    training = EncoderTraining(
        base=str(base_encoder), window=WindowSettings(tokens=48, tail=12), epochs=1
    )
    fold = pool.folds(1, seed=0)[0]
    parts = (pool.rows.rows(fold.train), pool.rows.rows(fold.watched))
    train_encoder(*parts, tmp_path / "network", training)
    export_encoder(tmp_path / "network", tmp_path / "served")
    judged = pool.rows.rows(fold.judged)
    served = EncoderModel.load(tmp_path / "served").score(judged.aligned(), explain=False)
    logit = Scored(tmp_path / "network")(list(judged.texts))
    np.testing.assert_allclose(logit, served.logit, atol=1e-4)


@pytest.fixture(scope="module")
def weighed(pool: Pool, cache: Path) -> WeighedPool:
    settings = asked(target="ensemble", folds=1)
    return WeighedPool.of(pool, pool.folds(1, seed=0), settings, cache, Watched())


def test_every_way_to_combine_gives_figures(weighed: WeighedPool) -> None:
    settings = asked(target="ensemble", folds=1)
    for kind in ("voting", "soft", "stacking", "ngram=0.3,tabular=0.7"):
        figures = ensemble_trial(weighed, settings, {"ensemble": kind}, Watched())
        assert figures["recall"] > 0.5
        assert figures["cost"] == pytest.approx(sum(weighed.said[0].costs.values()))


def test_shares_of_a_trial_and_of_the_pipeline_are_the_same_ensemble(weighed: WeighedPool) -> None:
    said = weighed.said[0]
    own = {"ensemble": "weighted", "share_ngram": 0.2, "share_tabular": 0.6}
    assert shares_of(own) == pytest.approx({"ngram": 0.25, "tabular": 0.75})
    mine, _ = combined(said, own, weighed.pool)
    theirs, _ = combined(said, {"ensemble": "ngram=0.25,tabular=0.75"}, weighed.pool)
    assert mine.stages[0].weights == pytest.approx(theirs.stages[0].weights)


def test_a_cascade_costs_less_than_all_models_by_what_it_settles(weighed: WeighedPool) -> None:
    settings = asked(target="cascade", folds=1)
    wide = {"cascade_tolerance": 0.9, "cascade_doubt": 0.4}
    cheap = cascade_trial(weighed, settings, wide, Watched())
    whole = cascade_trial(weighed, settings, {"cascade_tolerance": 0.0}, Watched())
    costs = weighed.said[0].costs
    assert whole["cost"] == pytest.approx(sum(costs.values()))
    assert costs["ngram"] <= cheap["cost"] < whole["cost"]


def test_a_trial_hears_at_every_fit_that_it_shall_stop(pool: Pool, cache: Path) -> None:
    steps = Steps(None, prunes=False, halted=lambda: True)  # type: ignore[arg-type]
    with pytest.raises(HaltedError):
        ngram_trial(NgramPool.of(pool, cache), pool.folds(1, 0), asked(target="ngram"), {}, steps)


def test_recall_is_of_ranks_and_not_of_rounded_probabilities() -> None:
    labels = np.array([0] * 100 + [1] * 2, dtype=np.int8)
    logit = np.concatenate([np.full(99, 40.0), [41.0], [42.0, 40.5]])
    # One harmless text in a hundred may be flagged.
    assert recall(logit, labels) == 1.0
    assert recall(np.concatenate([np.full(98, 40.0), [41.0, 41.0], [42.0, 40.5]]), labels) == 0.5
