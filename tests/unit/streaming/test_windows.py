"""Windows and campaigns: the same whatever the order, bounded, and forgotten after a day."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampart.streaming.analytics import campaigns, windows
from rampart.streaming.sketching import sketch

HOUR = 3_600_000
WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
]


class Memory:
    """A store that forgets everything with the test."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


def slimmed(number: int, text: str = "", *, at: int = 0, threat: bool = True) -> dict[str, object]:
    return {
        "message": f"m-{number}",
        "received": at,
        "threat": threat,
        "probability": number % 100 / 100,
        "latency": number % 900,
        "words": [WORDS[number % len(WORDS)]],
        "sketch": sketch(text) if text else "",
    }


@given(st.permutations(range(40)))
def test_a_windows_state_does_not_depend_on_the_order(order: list[int]) -> None:
    one, other = windows.empty(), windows.empty()
    for number in range(40):
        windows.add(one, slimmed(number, threat=number % 3 == 0))
    for number in order:
        windows.add(other, slimmed(number, threat=number % 3 == 0))
    assert one == other
    assert json.loads(json.dumps(one)) == one
    assert windows.result(one)["messages"] == 40
    assert windows.result(one)["threat_share"] == pytest.approx(14 / 40)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=60))
def test_an_hour_of_panes_is_what_a_window_of_an_hour_would_be(minutes: list[int]) -> None:
    """Each message falls into one of twelve panes of five minutes."""
    whole, panes = windows.empty(), {}
    for number, place in enumerate(minutes):
        windows.add(whole, slimmed(number, threat=number % 3 == 0))
        pane = panes.setdefault(place, windows.empty())
        windows.add(pane, slimmed(number, threat=number % 3 == 0))
    length, step = HOUR, HOUR // 12
    kept: list[Any] = []
    for place in sorted(panes):
        pane = {"start": place * step, "end": (place + 1) * step, "value": panes[place]}
        kept, window = windows.slid(kept, pane, length)
    assert window["end"] - window["start"] == length
    assert window["value"] == windows.result(whole)
    # An hour later none of it is left.
    far = {"start": 24 * step, "end": 25 * step, "value": windows.empty()}
    kept, window = windows.slid(kept, far, length)
    assert [one["start"] for one in kept] == [24 * step]
    assert window["value"]["messages"] == 0


def test_a_windows_state_stays_small() -> None:
    state = windows.empty()
    draw = random.Random(0)
    for number in range(5_000):
        word = "often" if number % 10 == 0 else f"word {draw.random()}"
        windows.add(state, slimmed(number) | {"words": [word]})
    assert len(json.dumps(state)) < 10_000
    assert windows.result(state)["words"][0]["text"] == "often"


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_within_what_is_said_of_it(latencies: list[float]) -> None:
    bins: dict[str, int] = {}
    for latency in latencies:
        place = str(windows.latency_bin(latency))
        bins[place] = bins.get(place, 0) + 1
    exact = sorted(latencies)[-1]
    assert windows.percentile(bins, 1.0) == pytest.approx(exact, rel=0.06, abs=1)


def campaign_text(name: int, number: int) -> str:
    draw = random.Random(name)
    return " ".join([*draw.choices(WORDS, k=60), f"for you{number}"])


def test_near_duplicates_are_one_campaign_and_others_are_not() -> None:
    state = Memory()
    found: dict[int, set[str]] = {}
    for number in range(60):
        told = campaigns.assign(state, slimmed(number, campaign_text(number % 4, number), at=1))
        assert told
        found.setdefault(number % 4, set()).add(told["campaign"])
    assert [len(names) for names in found.values()] == [1, 1, 1, 1]
    assert len(set.union(*found.values())) == 4


def test_a_campaign_says_when_it_began_and_how_it_grows() -> None:
    state = Memory()
    told = None
    for number, hour in enumerate([0, 0, 1, 1, 1, 2]):
        told = campaigns.assign(
            state, slimmed(number, campaign_text(1, number), at=hour * HOUR, threat=number > 1)
        )
    assert told == {
        "campaign": "m-0",
        "first": 0,
        "last": 2 * HOUR,
        "messages": 6,
        "threats": 4,
        "hour": 1,
        "hour_before": 3,
        "samples": ["m-0", "m-1", "m-2"],
    }


def test_the_day_slides_and_what_nobody_adds_to_is_forgotten() -> None:
    state = Memory()
    for hour in range(30):
        told = campaigns.assign(state, slimmed(hour, campaign_text(1, hour), at=hour * HOUR))
    assert told
    assert told["messages"] == campaigns.DAY
    campaigns.assign(state, slimmed(99, campaign_text(2, 0), at=200 * HOUR))
    kept = [name for name in state.kept if name.startswith("c:")]
    assert kept == ["c:m-99"]
    assert sum(name.startswith("b:") for name in state.kept) == 20
    fresh = campaigns.assign(state, slimmed(100, campaign_text(1, 5), at=200 * HOUR))
    assert fresh
    assert fresh["campaign"] == "m-100"


def test_what_is_kept_grows_with_campaigns_and_not_with_messages() -> None:
    state = Memory()
    sizes = []
    for number in range(400):
        campaigns.assign(state, slimmed(number, campaign_text(number % 5, number), at=number))
        sizes.append(len(json.dumps(state.kept)))
    assert sizes[-1] < sizes[20] * 1.2


def test_a_late_message_belongs_to_its_hour() -> None:
    state = Memory()
    campaigns.assign(state, slimmed(0, campaign_text(1, 0), at=5 * HOUR))
    told = campaigns.assign(state, slimmed(1, campaign_text(1, 1), at=3 * HOUR))
    assert told
    assert (told["first"], told["last"], told["messages"], told["hour"]) == (
        3 * HOUR, 5 * HOUR, 2, 1,
    )  # fmt: skip


def test_without_a_sketch_there_is_no_campaign() -> None:
    assert campaigns.assign(Memory(), slimmed(0)) is None
    assert campaigns.assign(Memory(), slimmed(0) | {"sketch": "?"}) is None
