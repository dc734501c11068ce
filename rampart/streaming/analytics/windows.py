"""What a window knows of its verdicts: shares, distributions, and what weighed most.

A window's state is plain JSON of bounded size, whatever goes into it, and adding the same verdicts
in another order gives the same state but for the words where there are more of them than are kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

BINS = 20
"""Of the distribution of probabilities, all of one width."""

GROWTH = 1.1
"""From one bin of latencies to the next, in milliseconds: a percentile is within 5 %."""

_WORDS = (
    200  # Kept in a window's state, after Metwally, Agrawal and El Abbadi (Space-Saving, 2005).
)
_SHOWN = 10
_LONGEST = 40
_TOP_SPANS = 3

State = dict[str, Any]


def empty() -> State:
    """The state of a window that nothing came into."""
    return {
        "messages": 0,
        "threats": 0,
        "probability": [0] * BINS,
        "latency": {},
        "words": {},
    }


def add(state: State, verdict: Mapping[str, Any]) -> State:
    """The state with one verdict more; what was given is changed.

    Args:
        state: of the window.
        verdict: as `slim` gives it.
    """
    state["messages"] += 1
    state["threats"] += bool(verdict["threat"])
    state["probability"][min(BINS - 1, int(verdict["probability"] * BINS))] += 1
    place = str(latency_bin(verdict["latency"]))
    state["latency"][place] = state["latency"].get(place, 0) + 1
    if verdict["threat"]:
        for word in verdict["words"]:
            _counted(state["words"], word)
    return state


def merged(states: Sequence[State]) -> State:
    """The state of one window that several stand side by side in."""
    whole = empty()
    for state in states:
        whole["messages"] += state["messages"]
        whole["threats"] += state["threats"]
        whole["probability"] = [
            one + other
            for one, other in zip(whole["probability"], state["probability"], strict=True)
        ]
        for name in ("latency", "words"):
            for key, count in state[name].items():
                whole[name][key] = whole[name].get(key, 0) + count
    most = sorted(whole["words"].items(), key=lambda item: (-item[1], item[0]))[:_WORDS]
    return whole | {"words": dict(most)}


def slid(panes: Sequence[State], pane: State, length: int) -> tuple[list[State], State]:
    """A sliding window once another pane of it is whole.

    Args:
        panes: of the same source and category, in order: start, end and `value`, their state.
        pane: that comes behind them.
        length: of the window, in milliseconds.

    Returns:
        The panes to keep, and the window that ends with the last: start, end, and what is told.
    """
    start = pane["end"] - length
    kept = [*(one for one in panes if one["start"] >= start), pane]
    whole = merged([one["value"] for one in kept])
    return kept, {"start": start, "end": pane["end"], "value": result(whole)}


def result(state: State) -> State:
    """What is told of a window: shares, percentiles in milliseconds, the heaviest words."""
    messages = state["messages"]
    words = sorted(state["words"].items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return {
        "messages": messages,
        "threats": state["threats"],
        "threat_share": state["threats"] / messages if messages else 0.0,
        "probability": state["probability"],
        "latency": {
            f"p{round(share * 100)}": percentile(state["latency"], share)
            for share in (0.5, 0.95, 0.99)
        },
        "words": [{"text": text, "messages": count} for text, count in words],
    }


def slim(verdict: Mapping[str, Any], received_ms: int, scored_ms: int) -> State:
    """Of a verdict what windows, campaigns and the table need.

    Args:
        verdict: the data of a verdict event.
        received_ms: when the message came in, milliseconds since 1970.
        scored_ms: when it was scored.
    """
    spans = sorted(verdict["spans"], key=lambda span: -span["contribution"])[:_TOP_SPANS]
    words = {
        " ".join(span["text"].lower().split())[:_LONGEST]
        for span in spans
        if span["contribution"] > 0
    }
    return {
        "message": verdict["message"],
        "source": verdict["source"],
        "category": verdict["category"],
        "received": received_ms,
        "scored": scored_ms,
        "latency": max(0, scored_ms - received_ms),
        "label": verdict["label"],
        "threat": verdict["threat"],
        "probability": verdict["probability"],
        "logit": verdict["logit"],
        "stage": verdict["stage"],
        "bundle": verdict["bundle"],
        "words": sorted(words - {""}),
        "sketch": verdict["sketch"],
    }


def latency_bin(milliseconds: float) -> int:
    """Which bin a latency is in: 0 up to a millisecond, and each next `GROWTH` times as wide."""
    return 0 if milliseconds <= 1 else math.ceil(math.log(milliseconds) / math.log(GROWTH))


def percentile(bins: Mapping[str, int], share: float) -> float:
    """The latency in milliseconds that so large a share of messages does not exceed; 0 of none."""
    whole = sum(bins.values())
    seen = 0
    for place in sorted(map(int, bins)):
        seen += bins[str(place)]
        if seen >= share * whole:
            # The middle of the bin, so that the error is half its width at the most.
            return round(GROWTH ** (place - 0.5), 3) if place else 1.0
    return 0.0


def _counted(words: dict[str, int], word: str) -> None:
    if word in words or len(words) < _WORDS:
        words[word] = words.get(word, 0) + 1
        return
    least = min(words, key=lambda one: (words[one], one))
    words[word] = words.pop(least) + 1
