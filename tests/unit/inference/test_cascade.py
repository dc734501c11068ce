"""An ensemble of stages: each settles what it is sure of and explains it by its own models."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rampart.bundle.store import read_manifest, seal
from rampart.data.cleaning import AlignedText
from rampart.ensembles.base import Ensemble, Stage
from rampart.inference.engine import Engine
from rampart.inference.options import ScoreOptions
from rampart.inference.predictions import predictions, thresholds
from rampart.models.base import Model, Scores, sigmoid
from tests.conftest import mails

BAND = (0.05, 0.95)
TEXTS = [*mails(40, seed=50)[0], "Lunch", "Prize", "", "meeting prize", "free kernel patch today"]


class Counted(Model):
    """A model that remembers the texts it was asked."""

    kind = "counted"

    def __init__(self, model: Model) -> None:
        self.model = model
        self.asked: list[str] = []

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Counted:
        raise NotImplementedError

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        self.asked += texts
        return self.model.score(texts, explain=explain)


@pytest.fixture(scope="module")
def cascade(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with two stages: the n-grams where they are sure, else both models."""
    folder = tmp_path_factory.mktemp("cascade") / "bundle"
    shutil.copytree(bundle, folder)
    manifest = read_manifest(folder)
    calibration = manifest.models[0].calibration
    first = Stage(
        name="ngram", weights={"ngram": calibration.scale}, intercept=calibration.shift, unsure=BAND
    )
    ensemble = Ensemble(kind="cascade", stages=(first, manifest.ensemble.stages[-1]))
    seal(folder, manifest.model_copy(update={"ensemble": ensemble}))
    return folder


@pytest.fixture(scope="module")
def engine(cascade: Path) -> Engine:
    return Engine.load(cascade, threads=1)


def test_each_text_is_settled_by_the_first_stage_that_is_sure(engine: Engine) -> None:
    first, last = engine.manifest.ensemble.stages
    logits = engine.logits(TEXTS)
    cheap, both = first.combine(logits), last.combine(logits)
    unsure = (sigmoid(cheap) >= BAND[0]) & (sigmoid(cheap) <= BAND[1])
    assert 0 < unsure.sum() < len(TEXTS), "the band has to part these texts"
    for number, verdict in enumerate(engine.score(TEXTS)):
        assert verdict.stage == (last.name if unsure[number] else first.name)
        wanted = both[number] if unsure[number] else cheap[number]
        assert verdict.logit == pytest.approx(wanted, abs=1e-5)
        assert verdict.probability == pytest.approx(float(sigmoid(wanted)), abs=1e-6)


def test_the_explanation_is_that_of_the_stage_that_settled_it(engine: Engine) -> None:
    first = engine.manifest.ensemble.stages[0]
    for text, verdict in zip(TEXTS, engine.score(TEXTS, top_k=1_000), strict=True):
        parts = verdict.explanation
        assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)
        if verdict.stage == first.name:
            # Only the n-grams': their bias and their terms, weighed as this stage weighs them.
            bias = first.weights["ngram"] * engine.models["ngram"].bias + first.intercept  # type: ignore[attr-defined]
            assert parts.bias == pytest.approx(bias, abs=1e-6), text


def test_a_dear_model_is_asked_for_the_unsure_alone_and_a_cheap_one_once(engine: Engine) -> None:
    counted = {name: Counted(model) for name, model in engine.models.items()}
    verdicts = Engine(engine.manifest, counted).score(TEXTS)
    handed_on = sum(verdict.stage == "voting" for verdict in verdicts)
    assert len(counted["encoder"].asked) == handed_on
    assert len(counted["ngram"].asked) == len(TEXTS)


def test_what_several_calls_leave_is_asked_at_once_and_each_gets_its_own(engine: Engine) -> None:
    counted = {name: Counted(model) for name, model in engine.models.items()}
    several = Engine(engine.manifest, counted)
    parts = [[*TEXTS[:20], *TEXTS[40:42]], TEXTS[42:], [], TEXTS[20:40]]
    options = ScoreOptions(top_k=4)
    begun = [several.begin(part, options) for part in parts]
    asked = len(counted["encoder"].asked)
    left = [one.left for one in begun]
    first, *others = begun
    found = first.rest_with(others)
    assert asked == 0
    assert len(counted["encoder"].asked) == sum(left) > max(left)
    assert [len(verdicts) for verdicts in found] == left
    assert [one.left for one in begun] == [0, 0, 0, 0]
    for part, one in zip(parts, begun, strict=True):
        expected = engine.score(part, top_k=4)
        for got, wanted in zip(one.finish(), expected, strict=True):
            assert (got.label, got.stage) == (wanted.label, wanted.stage)
            assert got.logit == pytest.approx(wanted.logit, abs=1e-5)
            assert got.models == pytest.approx(wanted.models, abs=1e-5)
            assert got.explanation.start.tolist() == wanted.explanation.start.tolist()


def test_a_band_that_holds_nothing_asks_no_dear_model(engine: Engine) -> None:
    stages = engine.manifest.ensemble.stages
    sure = stages[0].model_copy(update={"unsure": (0.5, 0.5)})
    ensemble = Ensemble(kind="cascade", stages=(sure, *stages[1:]))
    manifest = engine.manifest.model_copy(update={"ensemble": ensemble})
    counted = {name: Counted(model) for name, model in engine.models.items()}
    verdicts = Engine(manifest, counted).score(TEXTS[:40])
    assert {verdict.stage for verdict in verdicts} == {"ngram"}
    assert not counted["encoder"].asked


def test_a_band_of_everything_is_as_good_as_no_first_stage(engine: Engine) -> None:
    stages = engine.manifest.ensemble.stages
    never = stages[0].model_copy(update={"unsure": (0.0, 1.0)})
    ensemble = Ensemble(kind="cascade", stages=(never, *stages[1:]))
    manifest = engine.manifest.model_copy(update={"ensemble": ensemble})
    verdicts = Engine(manifest, engine.models).score(TEXTS)
    assert {verdict.stage for verdict in verdicts} == {"voting"}
    expected = stages[-1].combine(engine.logits(TEXTS))
    assert [verdict.logit for verdict in verdicts] == pytest.approx(expected.tolist(), abs=1e-5)


def test_without_explanations_the_verdicts_are_the_same(engine: Engine) -> None:
    told, silent = engine.score(TEXTS), engine.score(TEXTS, explain="none")
    assert [(v.label, v.stage) for v in told] == [(v.label, v.stage) for v in silent]
    assert np.array([v.logit for v in told]) == pytest.approx([v.logit for v in silent], abs=1e-9)


def test_without_its_cascade_a_bundle_asks_all_models_of_every_text(cascade: Path) -> None:
    whole = Engine.load(cascade, threads=1, cascade=False)
    last = whole.manifest.ensemble.stages[-1]
    assert {verdict.stage for verdict in whole.score(TEXTS)} == {last.name}
    assert whole.manifest.id == read_manifest(cascade).id


def test_a_threshold_of_the_request_that_is_outside_the_band_widens_it(engine: Engine) -> None:
    first, last = engine.manifest.ensemble.stages
    usual, strict = (engine.score(TEXTS, threshold=limit) for limit in (0.5, 0.9999))
    for one, other in zip(usual, strict, strict=True):
        if one.stage == first.name and one.probability > BAND[1]:
            assert other.stage == (first.name if one.probability > 0.9999 else last.name)
    assert [v.stage for v in usual] != [v.stage for v in strict]


def test_evaluation_sees_what_is_served_beside_what_all_models_say(engine: Engine) -> None:
    count = len(TEXTS)
    table = pd.DataFrame({
        "id": range(count), "text": TEXTS, "label": 0, "group": "made", "campaign": range(count),
        "has_html": False,
    })  # fmt: skip
    got = predictions(engine, table)
    served = [verdict.probability for verdict in engine.score(TEXTS)]
    assert got["cascade"].tolist() == pytest.approx(served, abs=1e-5)
    limits = thresholds(engine)
    assert list(limits)[-1] == engine.manifest.ensemble.stages[-1].name
    assert limits["cascade"] == engine.manifest.threshold
