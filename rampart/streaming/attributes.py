"""What CloudEvents 1.0 asks of an event's attributes, and refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudevents.http import CloudEvent
from pydantic import TypeAdapter, ValidationError

from rampart.errors import EventError
from rampart.streaming.events import CONTENT_TYPE, Reason

VERSION = "1.0"
_REQUIRED = ("id", "source", "type")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_LONGEST = 1_024
_MOST_ATTRIBUTES = 64
_TIME = TypeAdapter(datetime)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 3339 asks for a zone; anything else is a time that is no moment.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.]\d{1,12})?)?([Zz]|[+-]\d\d:?\d\d)")


def checked(given: Mapping[str, str], data: bytes) -> CloudEvent:
    """The event, where its attributes are such as the specification asks for.

    Args:
        given: the attributes.
        data: as JSON.

    Raises:
        EventError: they are not.
    """
    version = given.get("specversion")
    if version != VERSION:
        raise wrong(
            Reason.BAD_ENVELOPE, f"The event's specversion is {shown(version)}, not {VERSION}."
        )
    missing = [name for name in _REQUIRED if not given.get(name)]
    if missing:
        raise wrong(Reason.BAD_ENVELOPE, f"The event has no {' and no '.join(missing)}.")
    if len(given) > _MOST_ATTRIBUTES:
        raise wrong(Reason.BAD_ENVELOPE, f"The event has {len(given)} attributes.")
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            raise wrong(Reason.BAD_ENVELOPE, f"{shown(name)} is no name of an attribute.")
        if len(value) > _LONGEST or not value.isprintable():
            raise wrong(
                Reason.BAD_ENVELOPE,
                f"The attribute {name} is over {_LONGEST} characters or holds control characters.",
            )
    told = CloudEvent(dict(given) | {"datacontenttype": CONTENT_TYPE}, data)
    _checked_time(told, given)
    return told


def _checked_time(told: CloudEvent, given: Mapping[str, str]) -> None:
    moment = given.get("time")
    if moment is None:
        # The package puts the present there, which would be another at each reading.
        del told["time"]
        return
    try:
        found = time_of(told) if _MOMENT.fullmatch(moment) else None
    except ValidationError:
        found = None
    if found is None or found < _BEGINNING:
        raise wrong(
            Reason.BAD_ENVELOPE, f"The event's time is {shown(moment)}, not as RFC 3339 has it."
        ) from None


def text(name: str, value: Any) -> str:
    """An attribute of a structured event as text: JSON has booleans and whole numbers as well."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise wrong(Reason.BAD_ENVELOPE, f"The attribute {name[:64]} is no text.")


def time_of(told: CloudEvent) -> datetime | None:
    """When the event happened, if it says so."""
    given = told.get("time")
    return None if given is None else _TIME.validate_python(given)


def wrong(reason: Reason, problem: str) -> EventError:
    """What is refused, by the reason that dead letters have."""
    return EventError(problem, reason=reason)


def shown(value: object) -> str:
    """A value at fault, short enough to be told."""
    return repr(value)[:120]
