"""Campaigns in a stream: near-duplicates of what came before, over a sliding day.

Messages are alike when half of their MinHash values are the same. Each campaign is known by its
first message: its bands of three values are the index, so that a message is compared with the few
campaigns that share a band with it (at a similarity of .5 some band of twenty agrees 19 times in
20), and what is kept grows with the campaigns of a day and not with its messages. A campaign that
nothing was added to for a day is forgotten.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rampart.streaming.sketching import values

DAY = 24
_BAND = 3
_SIMILAR = 0.5
_SAMPLES = 3
_MOST_IN_BAND = 50
_PAGE = 200
_HOUR_MS = 3_600_000
_HOURS = "hours"
_LATEST = "latest"


class State(Protocol):
    """Where campaigns are kept: a store that survives a restart."""

    def get(self, key: str, default: Any = None) -> Any:
        """What is kept by the key."""

    def set(self, key: str, value: Any) -> None:
        """Keep JSON by a key."""

    def delete(self, key: str) -> None:
        """Forget it."""


def assign(state: State, verdict: dict[str, Any]) -> dict[str, Any] | None:
    """The campaign that a message belongs to, with the message in it; None without a sketch.

    Args:
        state: what is known; it is changed.
        verdict: as `rampart.streaming.analytics.windows.slim` gives it.

    Returns:
        The campaign: its id, which is its first message's, when it was first and last seen
        (milliseconds since 1970), messages and threats of the last day, those of its latest hour
        and of the one before, and the ids of some of its messages.
    """
    sketch = values(verdict["sketch"])
    if sketch is None:
        return None
    hour = verdict["received"] // _HOUR_MS
    _expire(state, hour)
    bands = _bands(sketch)
    found = _alike(state, sketch, bands)
    if found is None:
        found = {
            "campaign": verdict["message"],
            "sketch": verdict["sketch"],
            "first": verdict["received"],
            "last": verdict["received"],
            "hours": {},
            "samples": [],
        }
        for band in bands:
            state.set(band, [*state.get(band, [])[1 - _MOST_IN_BAND :], found["campaign"]])
    _count(state, found, verdict, hour)
    state.set(f"c:{found['campaign']}", found)
    return shown(found)


def shown(campaign: dict[str, Any]) -> dict[str, Any]:
    """What is told of a campaign."""
    hours = {int(hour): counts for hour, counts in campaign["hours"].items()}
    latest = max(hours)
    within = [counts for hour, counts in hours.items() if hour > latest - DAY]
    return {
        "campaign": campaign["campaign"],
        "first": campaign["first"],
        "last": campaign["last"],
        "messages": sum(counts[0] for counts in within),
        "threats": sum(counts[1] for counts in within),
        "hour": hours[latest][0],
        "hour_before": hours.get(latest - 1, [0, 0])[0],
        "samples": campaign["samples"],
    }


def _count(state: State, campaign: dict[str, Any], verdict: dict[str, Any], hour: int) -> None:
    newest = max((int(one) for one in campaign["hours"]), default=None)
    counts = campaign["hours"].setdefault(str(hour), [0, 0])
    counts[0] += 1
    counts[1] += bool(verdict["threat"])
    campaign["first"] = min(campaign["first"], verdict["received"])
    campaign["last"] = max(campaign["last"], verdict["received"])
    if len(campaign["samples"]) < _SAMPLES:
        campaign["samples"].append(verdict["message"])
    latest = max(hour, newest or hour)
    campaign["hours"] = {
        one: kept for one, kept in campaign["hours"].items() if int(one) > latest - DAY
    }
    if newest is None or hour > newest:
        # It is looked at again a day after its latest hour, and no later than all others.
        due = f"{_HOURS}:{max(hour, state.get(_LATEST, hour) - DAY + 1)}"
        # Many small lists: each is written whole when it changes.
        count = state.get(due, 0)
        page = f"{due}:{count // _PAGE}"
        state.set(page, [*state.get(page, []), campaign["campaign"]])
        state.set(due, count + 1)


def _expire(state: State, hour: int) -> None:
    """Forget what nothing was added to for a day, as far as the stream has come."""
    latest = state.get(_LATEST, hour)
    if hour <= latest:
        state.set(_LATEST, latest)
        return
    # After a gap of more than a day everything is looked at once.
    for past in range(latest - DAY, min(hour - DAY, latest) + 1):
        due = f"{_HOURS}:{past}"
        pages = [f"{due}:{number}" for number in range(-(-state.get(due, 0) // _PAGE))]
        for identity in [one for page in pages for one in state.get(page, [])]:
            campaign = state.get(f"c:{identity}")
            if campaign is None or max(map(int, campaign["hours"])) > past:
                continue
            state.delete(f"c:{identity}")
            sketch = values(campaign["sketch"])
            for band in _bands(sketch) if sketch is not None else ():
                left = [one for one in state.get(band, []) if one != identity]
                if left:
                    state.set(band, left)
                else:
                    state.delete(band)
        for page in pages:
            state.delete(page)
        state.delete(due)
    state.set(_LATEST, hour)


def _alike(state: State, sketch: Any, bands: list[str]) -> dict[str, Any] | None:
    """The campaign most like the message, of those that are alike enough; the oldest of equals."""
    best: dict[str, Any] | None = None
    most = 0.0
    for identity in dict.fromkeys(one for band in bands for one in state.get(band, [])):
        campaign = state.get(f"c:{identity}")
        other = values(campaign["sketch"]) if campaign else None
        if other is None or len(other) != len(sketch):
            continue
        share = float(np.mean(other == sketch))
        if share >= _SIMILAR and share > most:
            best, most = campaign, share
    return best


def _bands(sketch: Any) -> list[str]:
    return [
        f"b:{start}:{sketch[start : start + _BAND].tobytes().hex()}"
        for start in range(0, len(sketch), _BAND)
    ]
