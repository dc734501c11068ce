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
from pydantic import ValidationError

from rampart.errors import EventError
from rampart.streaming.attributes import VERSION, checked, shown, text, wrong
from rampart.streaming.events import CONTENT_TYPE, MODELS, PREFIX, RECEIVED, Data, Reason

Mode = Literal["binary", "structured"]
Headers = Sequence[tuple[str, bytes | None]]
D = TypeVar("D", bound=Data)

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch"
_EVENTS = "application/cloudevents"
_VERSIONED = re.compile(r"(?P<family>.+)\.v(?P<version>[0-9]{1,9})")
_FAMILIES = {match["family"] for name in MODELS if (match := _VERSIONED.fullmatch(name))}


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


def record_of(message: Any) -> tuple[Record, str]:
    """A message of Kafka's client as a record, and what is wrong with its headers, if anything."""
    try:
        # Asked once: of names that are not UTF-8 the client makes an error, and then nonsense.
        headers, broken = list(message.headers() or ()), ""
    except (SystemError, UnicodeDecodeError):
        headers, broken = [], "The names of its headers are not UTF-8."
    return Record(_bytes(message.key()), _bytes(message.value()), headers), broken


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
        "specversion": VERSION,
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
        raise wrong(Reason.NO_VALUE, "The record has no value.")
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
        raise wrong(reason, f"The data is not what {kind} has. {told_so}.") from None


def _bytes(value: Any) -> bytes | None:
    return None if value is None else value.encode() if isinstance(value, str) else bytes(value)


# --- reading ----------------------------------------------------------------------------------


def _from_binary(given: Mapping[str, str], content_type: str, body: bytes) -> CloudEvent:
    if "specversion" not in given:
        raise wrong(
            Reason.NOT_CLOUDEVENT,
            "It has neither a header ce_specversion (over HTTP ce-specversion) nor the content "
            f"type {STRUCTURED}.",
        )
    plain = content_type.partition(";")[0].strip().lower()
    if plain and plain != CONTENT_TYPE and not plain.endswith("+json"):
        raise wrong(Reason.BAD_CONTENT_TYPE, f"The data is {plain[:100]}, not {CONTENT_TYPE}.")
    return checked(given, body)


def _from_structured(content_type: str, body: bytes) -> CloudEvent:
    if content_type.startswith(BATCHED):
        raise wrong(Reason.BATCHED, "It is a batch of events. Send each on its own.")
    if content_type.partition(";")[0].strip() != STRUCTURED:
        raise wrong(
            Reason.BAD_CONTENT_TYPE,
            f"The event is {content_type[:100]}, of which only {STRUCTURED} is read.",
        )
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise wrong(Reason.BAD_ENVELOPE, f"The event is not JSON: {error}.") from None
    if not isinstance(whole, dict):
        raise wrong(Reason.BAD_ENVELOPE, "The event is not a JSON object.")
    if "data" in whole and "data_base64" in whole:
        raise wrong(Reason.BAD_ENVELOPE, "The event has both data and data_base64.")
    inner = _embedded(whole)
    return checked({name: text(name, value) for name, value in whole.items()}, inner)


def _embedded(whole: dict[str, Any]) -> bytes:
    """Take the data out of a structured event, as JSON."""
    whole_type = whole.pop("datacontenttype", CONTENT_TYPE)
    if "data_base64" in whole:
        encoded = whole.pop("data_base64")
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise wrong(Reason.BAD_ENVELOPE, "data_base64 is not base 64.") from None
    data = whole.pop("data", None)
    if isinstance(data, str) and whole_type != CONTENT_TYPE:
        return data.encode()
    try:
        return orjson.dumps(data)
    except TypeError:
        raise wrong(Reason.BAD_ENVELOPE, "The data is nested too deeply.") from None


def _of_other_kind(kind: str) -> EventError:
    match = _VERSIONED.fullmatch(kind)
    if match and match["family"] in _FAMILIES and kind not in MODELS:
        known = [name for name in MODELS if name.startswith(match["family"] + ".")]
        return wrong(
            Reason.UNKNOWN_VERSION,
            f"The event is {kind}, of which {', '.join(known)} is read here.",
        )
    wanted = f" Messages to score are {RECEIVED}." if not kind.startswith(PREFIX) else ""
    return wrong(Reason.UNKNOWN_TYPE, f"The event is {shown(kind)}.{wanted}")


def _decoded(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered != "content-type" and not lowered.startswith("ce_"):
            continue
        if lowered in found:
            raise wrong(Reason.BAD_ENVELOPE, f"The header {name[:64]} comes twice.")
        try:
            found[lowered] = (value or b"").decode()
        except UnicodeDecodeError:
            raise wrong(Reason.BAD_ENVELOPE, f"The header {name[:64]} is not UTF-8.") from None
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
        raise wrong(Reason.BAD_ENVELOPE, "A ce- header's quoted bytes are not UTF-8.") from None
