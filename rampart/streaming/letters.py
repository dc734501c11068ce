"""What becomes of a record that got no verdict: it comes again later, or it is a dead letter."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rampart.streaming.connection import Topics
from rampart.streaming.events import DEAD_LETTER, DeadLetter, Origin, Reason
from rampart.streaming.wire import Headers, Record, event, to_record

SOURCE = "/rampart/scorer"
# Headers of a record that comes again; they are taken off before it is a message once more.
_OWN = "rampart-"
_ATTEMPTS = "rampart-attempts"
_DUE = "rampart-due"
_FAULT = "rampart-fault"
_ORIGIN = "rampart-origin"
REPLAYS = "rampart-replays"
_LONGEST_FAULT = 500
_MOST = 1_000_000
_HEADER_BYTES = 8
MOST_HEADERS = 200
"""Of a record that is scored, or that a letter holds whole."""
MOST_HEADER_BYTES = 65_536
MOST_KEY_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Passage:
    """What a record has been through.

    Attributes:
        origin: where it was read first.
        attempts: that failed.
        due: seconds since 1970 before which it is not to be tried again.
        fault: what went wrong the last time.
        replays: times that it was a dead letter and was fed back.
    """

    origin: Origin
    attempts: int = 0
    due: float = 0.0
    fault: str = ""
    replays: int = 0


@dataclass(frozen=True, slots=True)
class Retries:
    """When a record comes again.

    Attributes:
        topics: one for each time.
        seconds: that it waits there, for each of them.
    """

    topics: tuple[str, ...]
    seconds: tuple[float, ...]

    @classmethod
    def doubling(cls, topics: Topics, first: float, factor: float) -> Retries:
        """Waits that grow by a factor from topic to topic."""
        seconds = (first * factor**number for number in range(len(topics.retries)))
        return cls(topics.retries, tuple(seconds))


def passage(record: Record, origin: Origin, *, retried: bool) -> Passage:
    """What a record has been through.

    Args:
        record: as it was read.
        origin: where.
        retried: whether that is a topic for retries: elsewhere anybody may write, and only what
            a replay says is believed.
    """
    given = {
        name: (value or b"").decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(_OWN)
    }
    replays = _number(given.get(REPLAYS, ""))
    if not retried:
        return Passage(origin, replays=replays)
    first = given.get(_ORIGIN, "").rsplit("/", 2)
    if len(first) == 3 and all(one.isdecimal() and len(one) < 20 for one in first[1:]):
        origin = Origin(topic=first[0], partition=int(first[1]), offset=int(first[2]))
    return Passage(
        origin,
        _number(given.get(_ATTEMPTS, "")),
        _number(given.get(_DUE, ""), most=2**53) / 1e3,
        given.get(_FAULT, ""),
        replays,
    )


def retry(
    record: Record, past: Passage, fault: str, retries: Retries, now: float
) -> tuple[str, Record] | None:
    """The topic and the record by which it comes again; None where it was tried often enough."""
    if past.attempts >= len(retries.topics):
        return None
    origin = past.origin
    own = {
        _ATTEMPTS: str(past.attempts + 1),
        _DUE: str(round((now + retries.seconds[past.attempts]) * 1e3)),
        _FAULT: fault[:_LONGEST_FAULT],
        _ORIGIN: f"{origin.topic}/{origin.partition}/{origin.offset}",
        REPLAYS: str(past.replays),
    }
    headers = [*plain(record).headers, *((name, value.encode()) for name, value in own.items())]
    return retries.topics[past.attempts], Record(record.key, record.value, headers)


def dead_letter(
    record: Record,
    past: Passage,
    reason: Reason,
    detail: str,
    timestamp: datetime,
    *,
    max_bytes: int,
) -> Record:
    """The dead letter of a record: an event whose id says where it was read first.

    Args:
        record: as it was read.
        past: what it has been through.
        reason: in one word.
        detail: for a person.
        timestamp: of the record.
        max_bytes: of a value that a letter holds; of a larger one, and of a key or of headers that
            are out of all proportion, it says how large they are.
    """
    origin = past.origin
    identity = f"{origin.topic}/{origin.partition}/{origin.offset}"
    original = plain(record)
    value, key, headers = original.value, original.key, original.headers
    if value is not None and len(value) > max_bytes:
        detail += f" Its {_told(value)} fit in no letter."
        value = None
    if key is not None and len(key) > min(max_bytes, MOST_HEADER_BYTES):
        detail += f" So do its key's {_told(key)}."
        key = None
    if len(headers) > MOST_HEADERS or header_bytes(headers) > min(max_bytes, MOST_HEADER_BYTES):
        detail += f" Its {len(headers)} headers of {header_bytes(headers)} bytes are left out."
        headers = ()
    letter = DeadLetter.model_validate(
        {
            "reason": reason,
            "detail": detail,
            "attempts": past.attempts + 1,
            "origin": origin,
            "timestamp": timestamp,
            "key": _encoded(key),
            "headers": [{"name": name, "value": _encoded(content)} for name, content in headers],
            "value": _encoded(value),
            "replays": past.replays,
        }
    )
    told = event(DEAD_LETTER, letter, id=identity, source=SOURCE, time=datetime.now(UTC))
    plain_key = original.key.decode("utf-8", "replace") if original.key else ""
    return to_record(
        told, plain_key if 0 < len(plain_key) <= MOST_KEY_BYTES else identity, "structured"
    )


def revived(letter: DeadLetter) -> Record:
    """The record as it was, but for a header that counts how often it was fed back."""
    headers = [(header.name, header.value) for header in letter.headers]
    return Record(letter.key, letter.value, [*headers, (REPLAYS, str(letter.replays + 1).encode())])


def plain(record: Record) -> Record:
    """A record without what was said of its passage."""
    kept = [header for header in record.headers if not header[0].startswith(_OWN)]
    return Record(record.key, record.value, kept)


def header_bytes(headers: Headers) -> int:
    """That the headers take in a record, about."""
    return sum(len(name) + len(content or b"") + _HEADER_BYTES for name, content in headers)


def _told(content: bytes) -> str:
    return f"{len(content)} bytes (SHA-256 {hashlib.sha256(content).hexdigest()})"


def _number(text: str, most: int = _MOST) -> int:
    return min(int(text), most) if text.isdecimal() and len(text) < 20 else 0


def _encoded(value: bytes | None) -> Any:
    return None if value is None else b64encode(value)
