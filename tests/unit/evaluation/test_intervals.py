"""Intervals hold the truth as often as they say, and differences are paired."""

from __future__ import annotations

import numpy as np
import pytest

from rampart import resampling
from rampart.errors import DataError, InputError
from rampart.evaluation.intervals import bootstrap, shown
from rampart.evaluation.metrics import METRICS
from rampart.evaluation.scored import Scored
from rampart.resampling import Interval
from tests.unit.evaluation.conftest import THRESHOLDS, predictions


def _scored(table, *models: str) -> dict[str, Scored]:
    labels = table["label"].to_numpy()
    return {
        model: Scored.of(labels, table[model].to_numpy(), THRESHOLDS[model]) for model in models
    }


def test_the_same_seed_draws_the_same_and_another_draws_otherwise(table) -> None:
    def high(seed: int) -> float:
        drawn = bootstrap(_scored(table, "voting"), resamples=50, seed=seed)
        return drawn.interval("voting", "brier").high

    assert high(1) == high(1)
    assert high(1) != high(2)


def test_an_interval_of_a_share_has_the_binomial_width() -> None:
    labels = np.zeros(400, dtype=int)
    probability = np.where(np.arange(400) < 80, 0.9, 0.1)
    drawn = bootstrap({"model": Scored.of(labels, probability, 0.5)}, resamples=2000)
    interval = drawn.interval("model", "false_positive_rate")
    width = 1.96 * np.sqrt(0.2 * 0.8 / 400)
    assert interval.value == 0.2
    assert interval.low == pytest.approx(0.2 - width, abs=0.008)
    assert interval.high == pytest.approx(0.2 + width, abs=0.008)


def test_copies_of_one_campaign_do_not_narrow_the_interval() -> None:
    # 40 mails in ten copies each know no more than 40 mails.
    labels = np.zeros(400, dtype=int)
    right = np.where(np.arange(40) < 8, 0.9, 0.1)
    scored = {"model": Scored.of(labels, np.tile(right, 10), 0.5)}
    alone = {"model": Scored.of(labels[:40], right, 0.5)}

    def width(models, campaigns) -> float:
        drawn = bootstrap(models, campaigns=campaigns, resamples=2000)
        interval = drawn.interval("model", "false_positive_rate")
        return interval.high - interval.low

    campaigns = np.tile(np.arange(40), 10)
    assert width(scored, campaigns) == pytest.approx(width(alone, None), rel=0.1)
    assert width(scored, None) < width(scored, campaigns) / 2


def test_a_row_without_a_campaign_stands_for_itself(table) -> None:
    models = _scored(table, "voting")
    rows = len(table)

    def drawn(campaigns):
        return bootstrap(models, campaigns=campaigns, resamples=20).draws["voting"]["brier"]

    alone = drawn(None)
    for nameless in ([None] * rows, [""] * rows, [float("nan")] * rows, ["same"] * rows):
        assert np.array_equal(drawn(nameless), alone)
    mixed = ["shared", "shared", *([None] * (rows - 2))]
    assert not np.array_equal(drawn(mixed), alone)
    assert np.array_equal(drawn(mixed), drawn(["shared", "shared", *range(rows - 2)]))


def test_resamples_drawn_in_pieces_are_those_drawn_at_once(table, monkeypatch) -> None:
    models = _scored(table, "voting")
    whole = bootstrap(models, resamples=30).draws["voting"]
    monkeypatch.setattr(resampling, "_CELLS", 7 * len(table))
    pieces = bootstrap(models, resamples=30).draws["voting"]
    for name in METRICS:
        assert whole[name] == pytest.approx(pieces[name], abs=1e-12, nan_ok=True)


def test_a_model_differs_from_itself_by_nothing(table) -> None:
    scored = _scored(table, "voting")
    drawn = bootstrap({"one": scored["voting"], "other": scored["voting"]}, resamples=50)
    for name in METRICS:
        assert drawn.difference("one", "other", name) == Interval(value=0, low=0, high=0)


def test_a_paired_difference_is_narrower_than_the_models_themselves() -> None:
    table = predictions(rows=600, seed=5)
    # The same scores but for a few rows.
    changed = table["voting"].where(np.arange(600) % 60 > 0, 0.41)
    labels = table["label"].to_numpy()
    models = _scored(table, "voting") | {"other": Scored.of(labels, changed.to_numpy(), 0.4)}
    drawn = bootstrap(models, resamples=300)
    alone, other = drawn.interval("voting", "brier"), drawn.interval("other", "brier")
    difference = drawn.difference("voting", "other", "brier")
    assert difference.high - difference.low < (alone.high - alone.low) / 2
    assert difference.value == pytest.approx(alone.value - other.value)


def test_a_better_model_is_told_from_a_worse_one() -> None:
    table = predictions(rows=800, seed=6, voting=0.5, encoder=4.0)
    drawn = bootstrap(_scored(table, "voting", "encoder"), resamples=300)
    assert drawn.difference("voting", "encoder", "f1").low > 0
    assert drawn.difference("voting", "encoder", "brier").high < 0


def test_what_is_undefined_has_no_interval() -> None:
    models = {"model": Scored.of(np.zeros(20, dtype=int), np.linspace(0, 1, 20), 0.5)}
    drawn = bootstrap(models | {"other": models["model"]}, resamples=20)
    assert drawn.interval("model", "f1") is None
    assert drawn.difference("model", "other", "f1") is None
    assert drawn.interval("model", "false_positive_rate") is not None


def test_resamples_without_a_threat_are_not_counted() -> None:
    labels = np.array([1] + [0] * 30)
    drawn = bootstrap({"model": Scored.of(labels, np.linspace(1, 0, 31), 0.5)}, resamples=200)
    assert np.isnan(drawn.draws["model"]["recall"]).any()
    assert drawn.interval("model", "recall") == Interval(value=1, low=1, high=1)


def test_rows_that_do_not_match_are_refused(table) -> None:
    scored = _scored(table, "voting")
    with pytest.raises(DataError, match="numbers of rows"):
        bootstrap(scored, campaigns=["one"])
    with pytest.raises(InputError, match="resamples is 0"):
        bootstrap(scored, resamples=0)


def test_intervals_read_as_people_write_them() -> None:
    interval = Interval(value=0.0124, low=-0.003, high=0.0201)
    assert str(interval) == "0.012 (-0.003 to 0.020)"
    assert shown(interval, signed=True) == "+0.012 (-0.003 to +0.020)"
    assert shown(None) == "n/a"
