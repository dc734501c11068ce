"""What becomes of a record that got no verdict."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rampart.streaming.connection import Topics
from rampart.streaming.events import DeadLetter, Origin, Reason
from rampart.streaming.letters import Passage, Retries, dead_letter, passage, retry, revived
from rampart.streaming.wire import Record, data_of, from_record

ORIGIN = Origin(topic="mail-received", partition=3, offset=7)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
HEADERS = st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=5)
RECORDS = st.builds(
    Record, st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=200), HEADERS
)
RETRIES = Retries.doubling(Topics.of("mail", 3), 5, 6)


def buried(record: Record, past: Passage, most: int = 10_000) -> DeadLetter:
    letter = dead_letter(record, past, Reason.REFUSED, "why", NOW, max_bytes=most)
    return data_of(from_record(letter), DeadLetter)


@given(RECORDS)
def test_a_letter_holds_the_record_as_it_was(record: Record) -> None:
    record = Record(
        record.key,
        record.value,
        [one for one in record.headers if not one[0].startswith("rampart-")],
    )
    letter = buried(record, Passage(ORIGIN, attempts=2, replays=1))
    assert letter.attempts == 3
    assert letter.origin == ORIGIN
    back = revived(letter)
    assert (back.key, back.value) == (record.key, record.value)
    assert list(back.headers) == [*record.headers, ("rampart-replays", b"2")]


def test_each_time_a_record_waits_longer_and_in_the_end_no_more() -> None:
    record = Record(b"k", b"v", [("a", b"1")])
    past = passage(record, ORIGIN, retried=False)
    waits = []
    for number in range(3):
        again = retry(record, past, "fault " * 200, RETRIES, now=100.0)
        assert again is not None
        topic, record = again
        assert topic == f"mail-retry-{number + 1}"
        assert (record.key, record.value, record.headers[0]) == (b"k", b"v", ("a", b"1"))
        # Where it was read the second time says nothing of where it came from.
        here = Origin(topic=topic, partition=0, offset=0)
        past = passage(record, here, retried=True)
        assert past.origin == ORIGIN
        assert past.attempts == number + 1
        waits.append(past.due - 100)
    assert waits == [5, 30, 180]
    assert retry(record, past, "fault", RETRIES, now=100.0) is None
    assert buried(record, past).attempts == 4


@given(HEADERS.map(lambda all_: [(f"rampart-{name}", value) for name, value in all_]))
def test_headers_that_say_nothing_are_passed_over(headers: list[tuple[str, bytes | None]]) -> None:
    found = passage(Record(None, None, headers), ORIGIN, retried=True)
    assert found.attempts >= 0


def test_headers_are_believed_where_only_a_scorer_writes() -> None:
    forged = [("rampart-attempts", b"9"), ("rampart-origin", b"x/1/2"), ("rampart-due", b"9" * 12)]
    found = passage(Record(None, None, forged), ORIGIN, retried=False)
    assert (found.attempts, found.origin, found.due) == (0, ORIGIN, 0)


def test_of_a_record_too_large_for_a_letter_its_size_and_digest_are_told() -> None:
    letter = buried(Record(b"k", b"x" * 11, ()), Passage(ORIGIN), most=10)
    assert letter.value is None
    assert "11 bytes" in letter.detail
    assert "SHA-256" in letter.detail
