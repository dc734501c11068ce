"""The gate promotes what is no worse, as far as the test rows can tell."""

from __future__ import annotations

import numpy as np
import pytest

from rampart.errors import InputError
from rampart.evaluation.gate import Contender, Decision, decide

_HAM, _SPAM = 700, 300
_LABELS = np.repeat([0, 1], [_HAM, _SPAM])


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def _contender(labels: np.ndarray, seed: int, separation: float = 5.0) -> Contender:
    logit = np.where(labels == 1, separation / 2, -separation / 2)
    return Contender(_sigmoid(logit + np.random.default_rng(seed).normal(0, 1, len(labels))), 0.5)


def _with_misses(missed: range) -> Contender:
    """Right everywhere but on some threats."""
    probability = np.where(_LABELS == 1, 0.95, 0.05) + np.linspace(-0.01, 0.01, len(_LABELS))
    for number in missed:
        probability[_HAM + number] = 0.01
    return Contender(probability, 0.5)


def _decide(candidate, champion, labels=_LABELS, **options) -> Decision:
    return decide(labels, None, candidate, champion, **{"resamples": 300, **options})


def test_the_first_model_needs_only_the_floors() -> None:
    decision = _decide(_contender(_LABELS, 0), None)
    assert (decision.promote, decision.alias) == (True, "champion")
    assert decision.comparisons == {}
    assert "first model" in decision.reason
    assert f"{decision.figures['recall_at_1_fpr']:.3f}" in decision.reason


def test_a_missed_floor_keeps_any_candidate_out_and_is_named_with_its_figure() -> None:
    poor = _contender(_LABELS, 0, separation=1.0)
    for champion in (None, _contender(_LABELS, 1, separation=0.5)):
        decision = _decide(poor, champion)
        assert (decision.promote, decision.alias) == (False, "challenger")
        assert "Recall at 1 % FPR" in decision.reason
        assert "at least 0.5" in decision.reason


def test_a_floor_of_a_metric_that_should_be_low_is_a_ceiling() -> None:
    model = _contender(_LABELS, 0, separation=3.0)
    assert not _decide(model, None, floors={"brier": 0.01}).promote
    assert _decide(model, None, floors={"brier": 0.2}).promote


def test_a_floor_that_cannot_be_measured_is_not_met() -> None:
    decision = decide(np.zeros(50), None, (np.linspace(0, 1, 50), 0.5), None)
    assert not decision.promote
    assert "undefined" in decision.reason


def test_a_floor_that_names_no_metric_is_refused() -> None:
    with pytest.raises(InputError, match="accuracy"):
        _decide(_contender(_LABELS, 0), None, floors={"accuracy": 0.9})


def test_a_better_model_is_promoted() -> None:
    decision = _decide(_with_misses(range(5)), _with_misses(range(40)))
    assert decision.promote
    assert "better" in decision.reason
    assert decision.comparisons["f1"].low > 0


def test_the_champion_trained_again_is_promoted() -> None:
    champion = _with_misses(range(20))
    again = Contender(champion.probability * 0.999, 0.4995)
    decision = _decide(again, champion)
    assert decision.promote
    assert "level" in decision.reason
    assert decision.comparisons["f1"].value == 0


def test_a_worse_model_is_turned_away() -> None:
    decision = _decide(_with_misses(range(40)), _with_misses(range(5)))
    assert (decision.promote, decision.alias) == (False, "challenger")
    assert "worse" in decision.reason
    assert decision.comparisons["f1"].high < 0


def test_a_loss_within_the_tolerance_is_still_a_loss_when_it_is_certain() -> None:
    champion, candidate = _with_misses(range(5)), _with_misses(range(10))
    decision = _decide(candidate, champion, tolerance=0.1)
    assert decision.comparisons["f1"].high < 0
    assert not decision.promote


def test_an_open_comparison_is_settled_by_the_estimate_and_says_so() -> None:
    # 12 and 10 misses on different mails: the interval is some +-.015 wide.
    one, other = _with_misses(range(12)), _with_misses(range(20, 30))
    lower, higher = _decide(one, other), _decide(other, one)
    for decision in (lower, higher):
        assert decision.comparisons["f1"].low < -0.01
        assert "cannot tell" in decision.reason
    assert not lower.promote
    assert "estimate is lower" in lower.reason
    assert higher.promote
    assert "no estimate is lower" in higher.reason


def test_a_higher_estimate_is_not_trusted_where_a_great_loss_is_possible() -> None:
    one, other = _with_misses(range(12)), _with_misses(range(20, 30))
    decision = _decide(other, one, reach=0.001)
    assert decision.comparisons["f1"].value > 0
    assert not decision.promote
    assert "add test rows" in decision.reason


def test_few_rows_of_a_class_decide_nothing_even_without_a_mistake() -> None:
    labels = np.repeat([0, 1], [200, 29])
    perfect = Contender(np.where(labels == 1, 0.9, 0.1), 0.5)
    decision = _decide(perfect, perfect, labels)
    assert not decision.promote
    assert "29 campaigns" in decision.reason
    assert _decide(perfect, perfect, labels, fewest=29).promote


def test_copies_of_one_campaign_count_once() -> None:
    model = _with_misses(range(0))
    campaigns = np.concatenate([np.arange(_HAM), np.arange(_SPAM) % 3 + _HAM])
    decision = decide(_LABELS, campaigns, model, model, resamples=50)
    assert not decision.promote
    assert "3 campaigns" in decision.reason


def test_over_many_retrainings_equals_pass_often_and_worse_models_seldom() -> None:
    labels = np.repeat([0, 1], [350, 150])

    def passed(separation: float) -> int:
        return sum(
            _decide(
                _contender(labels, 2 * trial + 1, separation),
                _contender(labels, 2 * trial),
                labels,
                resamples=100,
            ).promote
            for trial in range(40)
        )

    assert passed(5.0) >= 4
    assert passed(4.0) <= 2


def test_a_decision_survives_json() -> None:
    decision = _decide(_contender(_LABELS, 0), _contender(_LABELS, 1))
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
