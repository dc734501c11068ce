"""The engine's promises: sums that add up, spans in the sender's own text, bundles checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampart.errors import InputError
from rampart.inference.engine import Engine
from tests.conftest import mails


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine.load(bundle, threads=1)


def test_bias_and_contributions_make_up_the_logit(engine: Engine) -> None:
    texts, _ = mails(60, seed=3)
    for top_k in (0, 1, 10, 1000):
        for verdict in engine.score(texts, top_k=top_k):
            parts = verdict.explanation
            assert len(parts.value) <= top_k
            assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)


def test_threats_are_told_from_harmless_mail(engine: Engine) -> None:
    texts, labels = mails(90, seed=4)
    verdicts = engine.score(texts)
    right = [
        (verdict.label == "spam") == bool(y) for verdict, y in zip(verdicts, labels, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_the_strongest_spans_come_first_and_hold_whole_words(engine: Engine) -> None:
    text = "Win a free prize today\r\n\r\n<b>Cl</b>ick &amp; claim your mon\u0065\u0301y \U0001f600 now!"
    verdict = engine.score([text], top_k=50)[0]
    parts = verdict.explanation
    assert np.all(np.diff(np.abs(parts.value)) <= 1e-12)
    words = {text[a:b] for a, b in zip(parts.start, parts.end, strict=True)}
    assert "prize" in words
    assert "Cl</b>ick" in words
    assert all(word.strip() for word in words)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_gets_a_verdict_whose_spans_lie_inside_it(engine: Engine, text: str) -> None:
    verdict = engine.score([text], top_k=20)[0]
    parts = verdict.explanation
    assert 0.0 <= verdict.probability <= 1.0
    assert parts.bias + parts.value.sum() == pytest.approx(verdict.logit, abs=1e-4)
    assert np.all((parts.start >= 0) & (parts.start < parts.end) & (parts.end <= len(text)))


def test_the_order_and_company_of_texts_do_not_change_a_verdict(engine: Engine) -> None:
    texts, _ = mails(30, seed=5)
    alone = [engine.score([text])[0].logit for text in texts]
    together = [verdict.logit for verdict in engine.score(texts[::-1])][::-1]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_threshold_of_the_caller_decides_the_label(engine: Engine) -> None:
    texts, _ = mails(6, seed=6)
    assert {verdict.label for verdict in engine.score(texts, threshold=0.0)} == {"spam"}
    assert {verdict.label for verdict in engine.score(texts, threshold=1.0)} == {"ham"}


def test_without_an_explanation_all_of_the_logit_is_bias(engine: Engine) -> None:
    verdict = engine.score(["Hello there"], explain="none")[0]
    assert verdict.explanation.bias == verdict.logit
    assert not verdict.explanation.value.size


@pytest.mark.parametrize("wrong", [{"top_k": -1}, {"threshold": 1.5}, {"threshold": -0.1}])
def test_parameters_out_of_range_are_named(engine: Engine, wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        engine.score(["Hello"], **wrong)  # type: ignore[arg-type]


def test_no_texts_get_no_verdicts(engine: Engine) -> None:
    assert engine.score([]) == []
