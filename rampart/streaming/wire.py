"""CloudEvents 1.0 as Kafka records and as HTTP messages, in binary and in structured mode.

Events are the `cloudevents` package's. It writes them, but for what its Kafka binding leaves out of
the specification (the content type of a structured record); reading is stricter than its own, which
makes up an id where there is none, so that a repeated record would be a new message.

Sources: the CloudEvents specification 1.0.2, its Kafka and its HTTP protocol bindings.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, unquote_to_bytes

import orjson
from cloudevents import kafka
from cloudevents.http import CloudEvent
from pydantic import TypeAdapter, ValidationError

from rampart.errors import EventError
from rampart.streaming.events import CONTENT_TYPE, MODELS, PREFIX, RECEIVED, Data, Reason

Mode = Literal["binary", "structured"]
Headers = Sequence[tuple[str, bytes | None]]
D = TypeVar("D", bound=Data)

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch"
_EVENTS = "application/cloudevents"
_VERSION = "1.0"
_REQUIRED = ("id", "source", "type")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_LONGEST = 1_024
_MOST_ATTRIBUTES = 64
_VERSIONED = re.compile(r"(?P<family>.+)\.v(?P<version>[0-9]{1,9})")
_FAMILIES = {match["family"] for name in MODELS if (match := _VERSIONED.fullmatch(name))}
_TIME = TypeAdapter(datetime)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 3339 asks for a zone; anything else is a time that is no moment.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.]\d{1,12})?)?([Zz]|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record's content.

    Attributes:
        key: what says which partition it goes to.
        value: None where a compacted topic forgets the key.
        headers: in their order; a name may come twice.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def event(
    kind: str,
    data: Data | bytes,
    *,
    id: str,  # noqa: A002 - the attribute's own name
    source: str,
    time: datetime,
    extensions: Mapping[str, str] | None = None,
) -> CloudEvent:
    """An event of this project.

    Args:
        kind: one of `rampart.streaming.events.MODELS`.
        data: of that type, or its JSON.
        id: with the source, what tells it from every other.
        source: a URI reference to who says so.
        time: when it happened, with its zone.
        extensions: attributes beside those of the specification.
    """
    attributes = {
        "specversion": _VERSION,
        "id": id,
        "source": source,
        "type": kind,
        "time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": CONTENT_TYPE,
        **(extensions or {}),
    }
    content = data if isinstance(data, bytes) else data.model_dump_json().encode()
    return CloudEvent(attributes, content)


def to_record(told: CloudEvent, key: str, mode: Mode = "binary") -> Record:
    """The event as a Kafka record.

    Args:
        told: with its data as JSON.
        key: of the record.
        mode: attributes as headers, or all of it as one JSON object.
    """
    if mode == "binary":
        message = kafka.to_binary(told, data_marshaller=lambda data: data, key_mapper=lambda _: key)
        return Record(key.encode(), told.get_data(), list(message.headers.items()))
    return Record(key.encode(), _structured(told), [("content-type", STRUCTURED.encode())])


def to_http(told: CloudEvent, mode: Mode = "binary") -> tuple[dict[str, str], bytes]:
    """The event as an HTTP message's headers and body."""
    if mode == "structured":
        return {"content-type": STRUCTURED}, _structured(told)
    headers = {
        f"ce-{name}": _quoted(str(value))
        for name, value in told.get_attributes().items()
        if name != "datacontenttype"
    }
    return headers | {"content-type": CONTENT_TYPE}, bytes(told.get_data() or b"")


def from_record(record: Record) -> CloudEvent:
    """The event in a Kafka record, its data as JSON still.

    Raises:
        EventError: it holds no event that can be read; the reason is one of the dead letters'.
    """
    if record.value is None:
        raise _wrong(Reason.NO_VALUE, "The record has no value.")
    headers = _decoded(record.headers)
    content_type = headers.pop("content-type", "")
    if content_type.startswith(_EVENTS):
        return _from_structured(content_type, record.value)
    given = {name[3:]: value for name, value in headers.items() if name.startswith("ce_")}
    return _from_binary(given, content_type, record.value)


def from_http(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """The event in an HTTP message, its data as JSON still.

    Raises:
        EventError: it holds no event that can be read.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    content_type = lowered.get("content-type", "").strip()
    if content_type.lower().startswith(_EVENTS):
        return _from_structured(content_type.lower(), body)
    given = {
        name[3:]: _unquoted(value) for name, value in lowered.items() if name.startswith("ce-")
    }
    return _from_binary(given, content_type, body)


def data_of(told: CloudEvent, model: type[D]) -> D:
    """An event's data, checked.

    Raises:
        EventError: it is of another type or version, or breaks the schema.
    """
    kind = str(told["type"])
    if MODELS.get(kind) is not model:
        raise _of_other_kind(kind)
    try:
        return model.model_validate_json(told.get_data() or b"")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        told_so = f"{where}: {first['msg']}" if where else first["msg"]
        reason = Reason.BAD_DATA if first["type"] == "json_invalid" else Reason.BAD_SCHEMA
        raise _wrong(reason, f"The data is not what {kind} has. {told_so}.") from None


def time_of(told: CloudEvent) -> datetime | None:
    """When the event happened, if it says so."""
    given = told.get("time")
    return None if given is None else _TIME.validate_python(given)


# --- reading ----------------------------------------------------------------------------------


def _from_binary(given: Mapping[str, str], content_type: str, body: bytes) -> CloudEvent:
    if "specversion" not in given:
        raise _wrong(
            Reason.NOT_CLOUDEVENT,
            "It has neither a header ce_specversion (over HTTP ce-specversion) nor the content "
            f"type {STRUCTURED}.",
        )
    plain = content_type.partition(";")[0].strip().lower()
    if plain and plain != CONTENT_TYPE and not plain.endswith("+json"):
        raise _wrong(Reason.BAD_CONTENT_TYPE, f"The data is {plain[:100]}, not {CONTENT_TYPE}.")
    return _checked(given, body)


def _from_structured(content_type: str, body: bytes) -> CloudEvent:
    if content_type.startswith(BATCHED):
        raise _wrong(Reason.BATCHED, "It is a batch of events. Send each on its own.")
    if content_type.partition(";")[0].strip() != STRUCTURED:
        raise _wrong(
            Reason.BAD_CONTENT_TYPE,
            f"The event is {content_type[:100]}, of which only {STRUCTURED} is read.",
        )
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _wrong(Reason.BAD_ENVELOPE, f"The event is not JSON: {error}.") from None
    if not isinstance(whole, dict):
        raise _wrong(Reason.BAD_ENVELOPE, "The event is not a JSON object.")
    if "data" in whole and "data_base64" in whole:
        raise _wrong(Reason.BAD_ENVELOPE, "The event has both data and data_base64.")
    inner = _embedded(whole)
    return _checked({name: _text(name, value) for name, value in whole.items()}, inner)


def _embedded(whole: dict[str, Any]) -> bytes:
    """Take the data out of a structured event, as JSON."""
    whole_type = whole.pop("datacontenttype", CONTENT_TYPE)
    if "data_base64" in whole:
        encoded = whole.pop("data_base64")
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise _wrong(Reason.BAD_ENVELOPE, "data_base64 is not base 64.") from None
    data = whole.pop("data", None)
    if isinstance(data, str) and whole_type != CONTENT_TYPE:
        return data.encode()
    try:
        return orjson.dumps(data)
    except TypeError:
        raise _wrong(Reason.BAD_ENVELOPE, "The data is nested too deeply.") from None


def _checked(given: Mapping[str, str], data: bytes) -> CloudEvent:
    """The event, where its attributes are such as the specification asks for."""
    version = given.get("specversion")
    if version != _VERSION:
        raise _wrong(
            Reason.BAD_ENVELOPE, f"The event's specversion is {_shown(version)}, not {_VERSION}."
        )
    missing = [name for name in _REQUIRED if not given.get(name)]
    if missing:
        raise _wrong(Reason.BAD_ENVELOPE, f"The event has no {' and no '.join(missing)}.")
    if len(given) > _MOST_ATTRIBUTES:
        raise _wrong(Reason.BAD_ENVELOPE, f"The event has {len(given)} attributes.")
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            raise _wrong(Reason.BAD_ENVELOPE, f"{_shown(name)} is no name of an attribute.")
        if len(value) > _LONGEST or not value.isprintable():
            raise _wrong(
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
        raise _wrong(
            Reason.BAD_ENVELOPE, f"The event's time is {_shown(moment)}, not as RFC 3339 has it."
        ) from None


def _of_other_kind(kind: str) -> EventError:
    match = _VERSIONED.fullmatch(kind)
    if match and match["family"] in _FAMILIES and kind not in MODELS:
        known = [name for name in MODELS if name.startswith(match["family"] + ".")]
        return _wrong(
            Reason.UNKNOWN_VERSION,
            f"The event is {kind}, of which {', '.join(known)} is read here.",
        )
    wanted = f" Messages to score are {RECEIVED}." if not kind.startswith(PREFIX) else ""
    return _wrong(Reason.UNKNOWN_TYPE, f"The event is {_shown(kind)}.{wanted}")


def _text(name: str, value: Any) -> str:
    """An attribute of a structured event as text: JSON has booleans and whole numbers as well."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise _wrong(Reason.BAD_ENVELOPE, f"The attribute {name[:64]} is no text.")


def _decoded(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered != "content-type" and not lowered.startswith("ce_"):
            continue
        if lowered in found:
            raise _wrong(Reason.BAD_ENVELOPE, f"The header {name[:64]} comes twice.")
        try:
            found[lowered] = (value or b"").decode()
        except UnicodeDecodeError:
            raise _wrong(Reason.BAD_ENVELOPE, f"The header {name[:64]} is not UTF-8.") from None
    if "content-type" in found:
        found["content-type"] = found["content-type"].strip().lower()
    return found


# --- writing ----------------------------------------------------------------------------------


def _structured(told: CloudEvent) -> bytes:
    # The data is JSON already: it is put in as it is, and not read and written again.
    data = orjson.Fragment(bytes(told.get_data() or b"null"))
    return orjson.dumps(dict(told.get_attributes()) | {"data": data})


def _quoted(value: str) -> str:
    """As the HTTP binding has it: printable ASCII but for space, quote and per cent stays."""
    return quote(value, safe="!#$&'()*+,/:;<=>?@[\\]^`{|}~-._")


def _unquoted(value: str) -> str:
    """A header's value; servers give its bytes as Latin-1, and Go's SDK sends them unquoted."""
    try:
        plain = value.strip().strip('"').encode("latin-1")
    except UnicodeEncodeError:
        plain = value.strip().strip('"').encode()
    try:
        return unquote_to_bytes(plain).decode()
    except UnicodeDecodeError:
        raise _wrong(Reason.BAD_ENVELOPE, "A ce- header's quoted bytes are not UTF-8.") from None


def _wrong(reason: Reason, problem: str) -> EventError:
    return EventError(problem, reason=reason)


def _shown(value: object) -> str:
    return repr(value)[:120]
