"""On a thousand real mails every logit is its bias plus its contributions, and spans hold words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rampart.data.cleaning import clean
from rampart.data.mail import parse
from rampart.data.sources import SPAM_ASSASSIN, read
from rampart.inference.engine import Engine


@pytest.fixture(scope="module")
def mails() -> list[str]:
    table = read(SPAM_ASSASSIN).rows.sample(1_000, random_state=7)
    return [parse(raw).text for raw in table["raw"]]


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


@pytest.mark.parametrize("name", ["ngram", "encoder"])
def test_a_models_terms_make_up_its_logit(engine: Engine, mails: list[str], name: str) -> None:
    scores = engine.models[name].score([clean(mail) for mail in mails])
    assert scores.terms is not None
    sums = np.array([terms.bias + terms.value.sum() for terms in scores.terms])
    assert np.abs(sums - scores.logit).max() < 1e-4


def test_a_verdicts_contributions_make_up_its_logit(engine: Engine, mails: list[str]) -> None:
    for mail, verdict in zip(mails, engine.score(mails, top_k=10), strict=True):
        parts = verdict.explanation
        assert abs(parts.bias + parts.value.sum() - verdict.logit) < 1e-4
        for start, end in zip(parts.start, parts.end, strict=True):
            assert mail[start:end].strip()
