"""A call may ask for one model, some or all; what they weigh is the bundle's to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rampart.errors import InputError
from rampart.inference.engine import Engine
from rampart.inference.selection import select
from rampart.models.base import sigmoid
from tests.conftest import mails

TEXTS = mails(20, seed=8)[0]


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


def test_one_model_answers_with_its_own_calibrated_logit_threshold_and_sum(engine: Engine) -> None:
    logits = engine.logits(TEXTS)
    for entry in engine.manifest.models:
        expected = entry.calibration(logits[entry.name])
        verdicts = engine.score(TEXTS, models=[entry.name], top_k=1000)
        assert [v.logit for v in verdicts] == pytest.approx(expected.tolist())
        assert select(engine.manifest, [entry.name]).threshold == entry.threshold
        for verdict in verdicts:
            parts = verdict.explanation
            assert verdict.stage == entry.name
            assert list(verdict.models) == [entry.name]
            assert verdict.models[entry.name] == pytest.approx(verdict.probability)
            assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-6)
            assert verdict.label == engine.manifest.labels[verdict.probability >= entry.threshold]


def test_several_models_answer_with_the_mean_of_their_calibrated_logits(engine: Engine) -> None:
    logits = engine.logits(TEXTS)
    scales = {entry.name: entry.calibration for entry in engine.manifest.models}
    names = list(scales)[:2]
    mean = np.mean([scales[name](logits[name]) for name in names], axis=0)
    verdicts = engine.score(TEXTS, models=names)
    assert [v.logit for v in verdicts] == pytest.approx(mean.tolist())
    assert {v.stage for v in verdicts} == {"+".join(names)}


def test_all_asks_every_model_and_leaves_the_verdict_to_the_ensemble(engine: Engine) -> None:
    usual, every = engine.score(TEXTS), engine.score(TEXTS, models=["all"])
    assert [v.logit for v in every] == [v.logit for v in usual]
    logits = engine.logits(TEXTS)
    for entry in engine.manifest.models:
        expected = sigmoid(entry.calibration(logits[entry.name]))
        assert [v.models[entry.name] for v in every] == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("models", "message"),
    [(["ngram", "oracle"], "no model 'oracle'"), ([], "No model is named"), ([""], "no model ''")],
)
def test_a_model_that_is_not_there_is_named_with_those_that_are(
    engine: Engine, models: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        engine.score(TEXTS, models=models)
    assert all(entry.name in str(raised.value) for entry in engine.manifest.models)
