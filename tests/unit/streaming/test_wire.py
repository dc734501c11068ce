"""Events come through both modes of both bindings as they were, and nothing else comes through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from cloudevents import conversion, http, kafka
from cloudevents.http import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from rampart.errors import EventError
from rampart.streaming.attributes import time_of
from rampart.streaming.events import RECEIVED, VERDICT, Received, Verdict
from rampart.streaming.wire import (
    Mode,
    Record,
    data_of,
    event,
    from_http,
    from_record,
    to_http,
    to_record,
)

AT = datetime(2026, 11, 28, 9, 30, tzinfo=timezone(timedelta(hours=2)))
MODES: tuple[Mode, ...] = ("binary", "structured")


def received(text: str = "Win a prize\n\nToday", identity: str = "m-1") -> CloudEvent:
    return event(
        RECEIVED, Received(text=text, category="inbound"), id=identity, source="/mx/1", time=AT
    )


def headers(**attributes: str) -> list[tuple[str, bytes | None]]:
    whole = {"specversion": "1.0", "id": "m-1", "source": "/mx", "type": RECEIVED} | attributes
    return [(f"ce_{name}", value.encode()) for name, value in whole.items() if value]


def structured(**members: object) -> Record:
    whole = {"specversion": "1.0", "id": "m-1", "source": "/mx", "type": RECEIVED} | members
    return Record(
        None, json.dumps(whole).encode(), [("content-type", b"application/cloudevents+json")]
    )


def reason(record: Record) -> str:
    with pytest.raises(EventError) as caught:
        data_of(from_record(record), Received)
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("mode", MODES)
@given(
    text=st.text(),
    identity=st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=100),
)
def test_an_event_comes_through_kafka_and_http_as_it_was(
    mode: Mode, text: str, identity: str
) -> None:
    told = received(text, identity)
    by_kafka = from_record(to_record(told, identity, mode))
    by_http = from_http(*to_http(told, mode))
    for found in (by_kafka, by_http):
        assert found.get_attributes() == told.get_attributes()
        assert data_of(found, Received) == Received(text=text, category="inbound")
        assert time_of(found) == AT


@pytest.mark.parametrize("mode", MODES)
def test_the_packages_own_readers_read_what_is_written(mode: Mode) -> None:
    record = to_record(received(), "m-1", mode)
    message = kafka.KafkaMessage(
        {name: value for name, value in record.headers if value}, record.key, record.value or b""
    )
    read = kafka.from_binary if mode == "binary" else kafka.from_structured
    head, body = to_http(received(), mode)
    for found in (read(message), http.from_http(head, body)):
        assert (found["id"], found["source"], found["type"]) == ("m-1", "/mx/1", RECEIVED)
        assert found.get_data() == {
            "text": "Win a prize\n\nToday",
            "mail": None,
            "category": "inbound",
        }


def test_what_the_package_writes_is_read() -> None:
    told = CloudEvent(
        {
            "id": "m-2",
            "source": "/mx",
            "type": RECEIVED,
            "time": "2026-11-28T07:30:00Z",
            "datacontenttype": "application/json",
        },
        {"text": "Lunch at noon"},
    )
    for head, body in (conversion.to_binary(told), conversion.to_structured(told)):
        assert data_of(from_http(head, body), Received).text == "Lunch at noon"
    message = kafka.to_binary(told)
    record = Record(None, bytes(message.value), list(message.headers.items()))
    assert data_of(from_record(record), Received).text == "Lunch at noon"


def test_a_mail_comes_as_its_bytes() -> None:
    raw = b"Subject: a\r\n\r\n\xff\xfe body"
    told = event(RECEIVED, Received.of_mail(raw), id="m", source="/mx", time=AT)
    assert data_of(from_record(to_record(told, "m")), Received).mail == raw


def test_attributes_that_are_not_known_come_along() -> None:
    record = Record(None, b'{"text": "a"}', headers(traceparent="00-abc", datacontenttype=""))
    assert from_record(record)["traceparent"] == "00-abc"


def test_members_that_are_not_known_are_passed_over() -> None:
    record = Record(None, b'{"text": "a", "later": 1}', headers())
    assert data_of(from_record(record), Received) == Received(text="a")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (Record(b"k", None, headers()), "no-value"),
        (Record(None, b"hello", []), "not-a-cloudevent"),
        (Record(None, b"hello", [("content-type", b"application/json")]), "not-a-cloudevent"),
        (Record(None, b"{}", headers(id="")), "bad-envelope"),
        (Record(None, b"{}", headers(specversion="0.3")), "bad-envelope"),
        (Record(None, b"{}", headers(time="yesterday")), "bad-envelope"),
        (Record(None, b"{}", headers(time="2026-11-28T07:30:00")), "bad-envelope"),
        (Record(None, b"{}", headers(time="2026-13-28T07:30:00Z")), "bad-envelope"),
        (Record(None, b"{}", headers(id="a\nb")), "bad-envelope"),
        (Record(None, b"{}", headers(id="a" * 2_000)), "bad-envelope"),
        (Record(None, b"{}", [*headers(), ("ce_id", b"m-2")]), "bad-envelope"),
        (Record(None, b"{}", [*headers(), ("ce_note", b"\xff")]), "bad-envelope"),
        (Record(None, b"{}", [*headers(), ("ce_A-B", b"x")]), "bad-envelope"),
        (structured(id=None), "bad-envelope"),
        (structured(id=["m"]), "bad-envelope"),
        (structured(data={}, data_base64=""), "bad-envelope"),
        (structured(data_base64="?"), "bad-envelope"),
        (
            Record(None, b"{", [("content-type", b"application/cloudevents+json")]),
            "bad-envelope",
        ),
        (
            Record(None, b"[]", [("content-type", b"application/cloudevents+json")]),
            "bad-envelope",
        ),
        (
            Record(None, b"[]", [("content-type", b"application/cloudevents-batch+json")]),
            "batched",
        ),
        (
            Record(None, b"", [("content-type", b"application/cloudevents+avro")]),
            "bad-content-type",
        ),
        (Record(None, b"", [*headers(), ("content-type", b"text/xml")]), "bad-content-type"),
        (Record(None, b"{}", headers(type="com.example.sold")), "unknown-type"),
        (Record(None, b"{}", headers(type=VERDICT)), "unknown-type"),
        (
            Record(None, b"{}", headers(type="io.rampart.message.received.v2")),
            "unknown-version",
        ),
        (Record(None, b"{", headers()), "bad-data"),
        (Record(None, b"\xff", headers()), "bad-data"),
        (Record(None, b"{}", headers()), "bad-schema"),
        (Record(None, b'{"text": 1}', headers()), "bad-schema"),
        (Record(None, b'{"text": "a", "mail": "YQ=="}', headers()), "bad-schema"),
        (Record(None, b'{"mail": "?"}', headers()), "bad-schema"),
        (structured(data="text"), "bad-schema"),
        (structured(), "bad-schema"),
    ],
)
def test_what_is_no_event_is_refused_by_its_reason(wrong: Record, expected: str) -> None:
    assert reason(wrong) == expected


@given(
    value=st.none()
    | st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ).map(lambda whole: json.dumps(whole).encode()),
    given_headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["content-type", "ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time"]
            )
            | st.text(),
            st.sampled_from(
                [b"application/cloudevents+json", b"1.0", RECEIVED.encode(), b"application/json"]
            )
            | st.binary()
            | st.none(),
        ),
        max_size=8,
    ),
)
def test_no_record_does_more_than_be_refused(
    value: bytes | None, given_headers: list[tuple[str, bytes | None]]
) -> None:
    try:
        data_of(from_record(Record(None, value, given_headers)), Received)
    except EventError as error:
        assert error.reason  # noqa: PT017


@given(
    body=st.binary(),
    given_headers=st.dictionaries(
        st.sampled_from(["Content-Type", "ce-id", "ce-source", "ce-type", "ce-specversion"]),
        st.sampled_from(["1.0", RECEIVED, "application/cloudevents+json"]) | st.text(),
    ),
)
def test_no_request_does_more_than_be_refused(body: bytes, given_headers: dict[str, str]) -> None:
    try:
        data_of(from_http(given_headers, body), Received)
    except EventError as error:
        assert error.reason  # noqa: PT017


def test_a_time_that_nobody_gave_is_not_made_up() -> None:
    assert time_of(from_record(Record(None, b'{"text": "a"}', headers()))) is None


def test_data_is_written_once_and_not_read_for_it() -> None:
    told = event(RECEIVED, b'{"text":  "spaces stay"}', id="m", source="/mx", time=AT)
    assert b'"data":{"text":  "spaces stay"}' in (to_record(told, "m", "structured").value or b"")


def test_a_verdict_holds_what_its_schema_says() -> None:
    verdict = Verdict(
        message="m", source="/mx", received=AT, scored=AT, label="spam", threat=True,
        probability=0.9, logit=2.2, threshold=0.5, stage="ngram", bundle="b", method="terms",
        bias=0.1,
    )  # fmt: skip
    told = event(VERDICT, verdict, id="m", source="/scorer", time=datetime.now(UTC))
    assert data_of(from_record(to_record(told, "m")), Verdict) == verdict
    assert orjson.loads(told.get_data() or b"")["probability"] == 0.9
