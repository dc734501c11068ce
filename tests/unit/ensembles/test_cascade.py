"""A cascade settles early only what held-out texts show to be safe, and says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.ensembles.base import Ensemble, Stage
from rampart.ensembles.cascade import (
    DOUBTS,
    NAME,
    CascadeSettings,
    cascaded,
    fit_cascade,
    settled_by,
    upper_bound,
)
from rampart.ensembles.voting import fit_voting
from rampart.errors import InputError
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import Calibration, fit_platt

QUICK = CascadeSettings(stages=(("ngram", "tabular"),), doubt=0.2)


def _models(
    count: int, *, noise: float = 1.0, seed: int = 0
) -> tuple[dict[str, Floats], np.ndarray]:
    """Two noisy quick models and a dear one that is better."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(count) < 0.3).astype(np.int8)
    labels[:2] = 0, 1
    signal = labels * 8.0 - 4.0
    return {
        "ngram": signal + draw.normal(scale=2 * noise, size=count),
        "tabular": signal + draw.normal(scale=2 * noise, size=count),
        "encoder": signal + draw.normal(scale=0.5, size=count),
    }, labels


def _fit(
    logits: dict[str, Floats], labels: np.ndarray, asked: CascadeSettings = QUICK, **more: object
):
    scales = {name: fit_platt(logit, labels) for name, logit in logits.items()}
    whole = fit_voting(logits, scales, labels)
    return whole, *fit_cascade(whole, logits, scales, labels, threshold=0.5, settings=asked, **more)  # type: ignore[arg-type]


def test_sure_texts_are_settled_early_and_the_verdicts_stay_right() -> None:
    logits, labels = _models(3_000)
    whole, found, report = _fit(logits, labels)
    assert found.kind == NAME
    assert found.stages[-1] == whole.stages[-1]
    assert found.stages[0].name == "ngram+tabular"
    early = settled_by(found, logits, 0.5) == 0
    assert early.mean() > 0.5
    before = sigmoid(whole.stages[-1].combine(logits)) >= 0.5
    after = sigmoid(cascaded(found, logits, 0.5)) >= 0.5
    right = before == labels
    assert np.mean(right & (after != labels)) <= QUICK.tolerance
    assert report.doubt in DOUBTS
    taken = next(trial for trial in report.trials if trial.doubt == report.doubt)
    assert taken.bound <= QUICK.tolerance
    assert taken.settled == pytest.approx(early.mean())
    assert taken.changed == np.sum(before != after)


def test_each_text_has_the_logit_of_the_stage_that_settles_it() -> None:
    logits, labels = _models(500)
    _, found, _ = _fit(logits, labels)
    number = settled_by(found, logits, 0.5)
    assert set(number.tolist()) == {0, 1}
    logit = cascaded(found, logits, 0.5)
    for place, stage in enumerate(found.stages):
        assert logit[number == place] == pytest.approx(stage.combine(logits)[number == place])
    low, high = found.stages[0].unsure or (0.0, 0.0)
    early = sigmoid(logit[number == 0])
    assert ((early < low) | (early > high)).all()


def test_no_band_is_taken_beyond_the_first_that_fails_its_test() -> None:
    logits, labels = _models(4_000, noise=2.0)
    _, _, report = _fit(logits, labels, CascadeSettings(tolerance=0.004, doubt=0.2))
    stands = [trial.stands for trial in report.trials]
    assert stands == sorted(stands, reverse=True)
    assert not stands[-1]
    assert report.doubt == max(trial.doubt for trial in report.trials if trial.stands)
    for trial in report.trials:
        assert not trial.stands or trial.bound <= 0.004


def test_no_more_doubt_is_taken_than_is_allowed() -> None:
    logits, labels = _models(3_000)
    _, _, free = _fit(logits, labels)
    _, found, report = _fit(logits, labels, CascadeSettings(doubt=0.01))
    assert (free.doubt or 0.0) > 0.01
    assert report.doubt == 0.01
    assert found.stages[0].unsure == (0.01, 0.99)


def test_too_few_texts_show_nothing_and_the_ensemble_stays_whole() -> None:
    logits, labels = _models(60)
    whole, found, report = _fit(logits, labels)
    assert found == whole
    assert report.doubt is None
    assert "More held-out texts" in report.reason
    assert min(trial.bound for trial in report.trials) > QUICK.tolerance


def test_a_campaign_counts_once_however_many_texts_it_has() -> None:
    logits, labels = _models(600)
    many = {name: np.repeat(logit, 10) for name, logit in logits.items()}
    names = [str(row // 10) for row in range(6_000)]
    _, _, apart = _fit(many, np.repeat(labels, 10))
    _, _, together = _fit(many, np.repeat(labels, 10), campaigns=names)
    _, _, once = _fit(logits, labels)
    assert (apart.campaigns, together.campaigns, once.campaigns) == (6_000, 600, 600)
    assert together.trials[0].bound == once.trials[0].bound > apart.trials[0].bound


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (CascadeSettings(tolerance=0.0), "No cascade was asked for"),
        (CascadeSettings(stages=(("ngram", "tabular", "encoder"),)), "no model beside"),
    ],
)
def test_the_reason_for_none_is_given(asked: CascadeSettings, reason: str) -> None:
    logits, labels = _models(300)
    whole, found, report = _fit(logits, labels, asked)
    assert found == whole
    assert reason in report.reason


def test_several_stages_ask_for_more_and_more() -> None:
    logits, labels = _models(3_000)
    stages = (("ngram",), ("ngram", "tabular"))
    _, found, _ = _fit(logits, labels, CascadeSettings(stages=stages))
    assert [tuple(stage.weights) for stage in found.stages[:-1]] == list(stages)
    assert set(settled_by(found, logits, 0.5).tolist()) == {0, 1, 2}


def test_a_stage_without_a_model_of_the_one_before_is_refused() -> None:
    logits, labels = _models(100)
    with pytest.raises(InputError, match="leaves out a model of ngram"):
        _fit(logits, labels, CascadeSettings(stages=(("ngram",), ("tabular",))))


@pytest.mark.parametrize("threshold", [0.0001, 0.97, 1.0])
def test_a_threshold_outside_the_band_is_in_doubt_as_well(threshold: float) -> None:
    first = Stage(name="first", weights={"a": 1.0}, unsure=(0.05, 0.95))
    last = Stage(name="last", weights={"a": 1.0, "b": 1.0})
    logits = {"a": np.linspace(-12, 12, 97), "b": np.zeros(97)}
    both = Ensemble(kind=NAME, stages=(first, last))
    probability = sigmoid(logits["a"])
    between = (probability >= min(0.05, threshold)) & (probability <= max(0.95, threshold))
    assert (settled_by(both, logits, threshold) == between.astype(int)).all()


def test_the_bound_is_clopper_and_pearsons() -> None:
    # With nothing seen in n the exact bound is 1 - (1 - confidence)^(1/n).
    assert upper_bound(0, 300, 0.95) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(7, 7, 0.95) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 400), st.floats(0.001, 0.2), st.integers(0, 2**32 - 1))
def test_the_bound_holds_as_often_as_it_says(trials: int, share: float, seed: int) -> None:
    seen = np.random.default_rng(seed).binomial(trials, share, 400)
    held = np.mean([upper_bound(int(count), trials, 0.95) >= share for count in seen])
    assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 400)


def test_calibrations_of_models_without_a_part_do_no_harm() -> None:
    logits, labels = _models(400)
    scales = {name: Calibration() for name in logits}
    whole = fit_voting({"ngram": logits["ngram"]}, {"ngram": scales["ngram"]}, labels)
    found, report = fit_cascade(whole, logits, scales, labels, threshold=0.5)
    assert found == whole
    assert "no model beside" in report.reason
