"""Records that no scorer can score, each wrong in one way; what becomes of them, and its cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.streaming.faults import made_up, quick
from benchmarks.streaming.harness import Feed, Tally, console, message, stream
from broker.local import running
from rampart.streaming.events import RECEIVED, DeadLetter, Received
from rampart.streaming.wire import Headers, Record, data_of, event, from_record, to_record

_STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]
_TOO_LARGE = "a " * 600_000


def _with(name: str, value: bytes) -> Callable[[Record], Record]:
    def changed(good: Record) -> Record:
        headers = dict(good.headers) | {name: value}
        return Record(good.key, good.value, list(headers.items()))

    return changed


def _large(good: Record) -> Record:
    key = (good.key or b"").decode()
    told = event(
        RECEIVED, Received(text=_TOO_LARGE), id=key, source="/harness", time=datetime.now(UTC)
    )
    return to_record(told, key)


KINDS: dict[str, Callable[[Record], Record]] = {
    "no-value": lambda good: Record(good.key, None, good.headers),
    "not-a-cloudevent": lambda good: Record(good.key, b"\x00\xff not at all", ()),
    "bad-envelope": lambda good: Record(good.key, b'{"specversion": "1.0"', _STRUCTURED),
    "batched": lambda good: Record(
        good.key, b"[]", [("content-type", b"application/cloudevents-batch+json")]
    ),
    "unknown-type": _with("ce_type", b"org.example.sold"),
    "unknown-version": _with("ce_type", b"io.rampart.message.received.v7"),
    "bad-content-type": _with("content-type", b"text/xml"),
    "bad-data": lambda good: Record(good.key, (good.value or b"")[:-3], good.headers),
    "bad-schema": lambda good: Record(good.key, b'{"text": {"a": 1}}', good.headers),
    "too-large": _large,
}
"""What makes a bad record of a good one, by the reason that its dead letter has to give."""


def poison(kind: str, identity: str) -> Record:
    """A record that is wrong in this way, with the id as its key."""
    return KINDS[kind](message("Win a free prize", identity))


def poisoned(folder: Path, count: int) -> None:
    """What becomes of a hundredth that cannot be scored, and what it costs the others."""
    bundle = quick(folder)
    rates: dict[int, list[float]] = {}
    for bad in (0, 1_000, 0, 1_000):
        every = count // bad if bad else count + 1
        name = f"poison-{sum(map(len, rates.values()))}-{bad}"
        reasons: Counter[tuple[str, str]] = Counter()
        with (
            running(folder / name) as broker,
            stream(broker.address, name, folder / name, ["--bundle", str(bundle)]) as one,
        ):
            feed = Feed(one.connection, one.topics.received)
            kinds = list(KINDS)
            for number in range(count):
                if number % every == every - 1:
                    kind = kinds[number // every % len(kinds)]
                    feed.send(poison(kind, f"{kind}/{number}"))
                else:
                    feed.send(message(made_up(number), f"m-{number}"))
            feed.flush()
            begun = time.perf_counter()
            one.start()
            tally = Tally(one.connection, [one.topics.verdicts])
            tally.until(count - bad, 900)
            rates.setdefault(bad, []).append((count - bad) / (time.perf_counter() - begun))

            def keep(letter: object, reasons: Counter[tuple[str, str]] = reasons) -> None:
                record = Record(None, letter.value(), letter.headers())  # type: ignore[attr-defined]
                data = data_of(from_record(record), DeadLetter)
                reasons[(data.key or b"").decode().partition("/")[0], data.reason] += 1

            letters = Tally(one.connection, [one.topics.dead_letters], keep=keep)
            letters.rest()
            letters.close()
            tally.close()
        if bad:
            right = sum(found for (sent, said), found in reasons.items() if sent == said)
            console.print(
                f"{bad} of {count} cannot be scored: {sum(reasons.values())} dead letters, "
                f"{right} with the right reason, {count - bad - len(tally.keys)} good ones lost"
            )
    clean, dirty = (float(np.median(rates[bad])) for bad in (0, 1_000))
    console.print(
        f"Good messages a second: {clean:.0f} without, {dirty:.0f} with: {dirty / clean:.1%}"
    )
