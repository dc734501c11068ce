"""Records that no scorer can score, each wrong in one way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.streaming.harness import message
from rampart.streaming.events import RECEIVED, Received
from rampart.streaming.wire import Headers, Record, event, to_record

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
