"""The stack trusts what a model knows of texts it has not seen, and stays a sum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from rampart.data.cleaning import AlignedText
from rampart.data.labelled import Labelled
from rampart.ensembles.stacking import fit_stacking
from rampart.errors import TrainingError
from rampart.models.base import Model, Scores, sigmoid
from rampart.training.folds import campaign_folds, out_of_fold

DRAW = np.random.default_rng(0)
LABELS = (DRAW.random(400) < 0.4).astype(np.int8)


class Honest(Model):
    """Reads a number that says something of the label, if not all."""

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Self:
        raise NotImplementedError

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        return Scores(np.array([float(text.text.split()[2]) for text in texts]), None)


class Rote(Honest):
    """Knows the campaigns that it has seen by heart and nothing else."""

    def __init__(self, train: Labelled) -> None:
        names = [text.split()[1] for text in train.texts]
        self.known = dict(zip(names, train.labels.tolist(), strict=True))

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        labels = [self.known.get(text.text.split()[1]) for text in texts]
        return Scores(
            np.array([0.0 if known is None else 20.0 * known - 10.0 for known in labels]), None
        )


def _corpus() -> Labelled:
    """Each campaign has two texts of one label."""
    labels = np.repeat(LABELS[:200], 2)
    signal = labels * 2.0 - 1.0 + DRAW.normal(scale=1.0, size=400)
    texts = [f"{n} c{n // 2} {value}" for n, value in enumerate(signal.tolist())]
    return Labelled(texts, labels, texts, [f"c{n // 2}" for n in range(400)])


CORPUS = _corpus()
FITS = {"honest": lambda part: Honest(), "rote": Rote}


def _weights(fold: np.ndarray) -> dict[str, float]:
    logits = {name: out_of_fold(CORPUS, fit, fold) for name, fit in FITS.items()}
    # What will be served has seen nothing of validation.
    fresh = _corpus()
    served = {"honest": Honest().score(fresh.aligned()).logit, "rote": np.zeros(400)}
    [stage] = fit_stacking(logits, CORPUS.labels, served, fresh.labels).stages
    total = sum(abs(weight) * float(logits[name].std()) for name, weight in stage.weights.items())
    return {
        name: abs(weight) * float(logits[name].std()) / total
        for name, weight in stage.weights.items()
    }


def test_a_model_that_only_remembers_gets_no_weight() -> None:
    assert _weights(campaign_folds(CORPUS, 5))["rote"] == pytest.approx(0.0, abs=1e-9)


def test_folds_that_part_campaigns_would_have_trusted_it() -> None:
    """The planted leak: the same stack, fed by folds that know nothing of campaigns."""
    leaking = np.random.default_rng(1).permutation(400) % 5
    assert _weights(leaking)["rote"] > 0.5


def test_a_campaign_is_in_one_fold_and_the_classes_in_all() -> None:
    fold = campaign_folds(CORPUS, 5, seed=3)
    assert set(fold.tolist()) == set(range(5))
    assert all(len({fold[2 * n], fold[2 * n + 1]}) == 1 for n in range(200))
    shares = [CORPUS.labels[fold == number].mean() for number in range(5)]
    assert max(shares) - min(shares) < 0.1
    assert np.array_equal(fold, campaign_folds(CORPUS, 5, seed=3))


def test_the_stack_is_calibrated_and_ranks_no_worse_than_its_best_model() -> None:
    draw = np.random.default_rng(5)

    def seen(seed: int) -> dict[str, np.ndarray]:
        noise = np.random.default_rng(seed)
        return {
            name: scale * (LABELS * 2.0 + noise.normal(scale=spread, size=400))
            for name, scale, spread in (("a", 1.0, 1.0), ("b", 7.0, 1.5))
        }

    train, validation, test = seen(1), seen(2), seen(3)
    [stage] = fit_stacking(train, LABELS, validation, LABELS).stages
    probability = sigmoid(stage.combine(test))
    assert probability.mean() == pytest.approx(LABELS.mean(), abs=0.05)

    def concordance(logit: np.ndarray) -> float:
        threats, others = logit[LABELS == 1], logit[LABELS == 0]
        pairs = draw.integers(0, len(threats), 20_000), draw.integers(0, len(others), 20_000)
        return float((threats[pairs[0]] > others[pairs[1]]).mean())

    assert concordance(stage.combine(test)) > max(concordance(logit) for logit in test.values())


def test_what_cannot_be_stacked_is_refused() -> None:
    one = {"a": np.zeros(4)}
    labels = np.array([0, 1, 0, 1], dtype=np.int8)
    with pytest.raises(TrainingError, match="same models"):
        fit_stacking(one, labels, {"b": np.zeros(4)}, labels)
    with pytest.raises(TrainingError, match="both classes"):
        fit_stacking(one, np.zeros(4, dtype=np.int8), one, labels)
    with pytest.raises(TrainingError, match="not finite"):
        fit_stacking({"a": np.full(4, np.nan)}, labels, one, labels)
    with pytest.raises(TrainingError, match="has 1 campaigns, too few for 5 folds"):
        campaign_folds(Labelled(["a", "b"], labels[:2]), 5)
