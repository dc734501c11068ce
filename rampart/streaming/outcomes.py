"""What a record becomes: a message to score, then a verdict, another try, or a dead letter."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rampart.errors import EventError
from rampart.streaming.calls import Faulty, Scored
from rampart.streaming.connection import Topics
from rampart.streaming.events import Reason
from rampart.streaming.lanes import Entry, Output
from rampart.streaming.letters import (
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    MOST_KEY_BYTES,
    Retries,
    dead_letter,
    header_bytes,
    retry,
)
from rampart.streaming.scoring import Message, message_of, verdict_of
from rampart.streaming.wire import Record, from_record, to_record

_log = logging.getLogger("rampart.stream")
_SHRUNK = "too-large-to-write"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one processor takes on.

    Attributes:
        records: held at once, about.
        bytes: that they take, about.
        max_text_bytes: of one text in UTF-8; a larger one is a dead letter.
        max_letter_bytes: of a record that a dead letter holds whole.
        tokens: that are scored in one call, about.
        seconds: that the first of a call waits for others.
        handover: seconds for what is under way when a partition goes to another, or at the end.
    """

    records: int = 2_000
    bytes: int = 64_000_000
    max_text_bytes: int = 1_000_000
    max_letter_bytes: int = 2_000_000
    tokens: int = 4_096
    seconds: float = 0.005
    handover: float = 20.0


class Outcomes:
    """Decides what becomes of records; each entry gets its output here, once."""

    def __init__(self, topics: Topics, retries: Retries, limits: Limits) -> None:
        self._topics = topics
        self._retries = retries
        self._limits = limits

    def read(self, entry: Entry) -> Message | None:
        """The message in a record; None where there is none, and it is a dead letter."""
        record = entry.record
        if (
            len(record.key or b"") > MOST_KEY_BYTES
            or len(record.headers) > MOST_HEADERS
            or header_bytes(record.headers) > MOST_HEADER_BYTES
        ):
            # A verdict and a retry carry them on, and have to fit where the record did.
            self.bury(
                entry,
                Reason.TOO_LARGE,
                f"Its key may have {MOST_KEY_BYTES} bytes, and its {MOST_HEADERS} headers at the "
                f"most {MOST_HEADER_BYTES} together.",
            )
            return None
        try:
            return message_of(
                from_record(entry.record),
                datetime.now(UTC),
                max_text_bytes=self._limits.max_text_bytes,
            )
        except EventError as error:
            self.bury(entry, Reason(error.reason), str(error))
        except Exception as error:  # noqa: BLE001 - it is said, and the record is kept
            # Nobody foresaw it, and the partition must not stand still for it.
            _log.exception("A record of %s cannot be read", entry.lane.place)
            self.bury(entry, Reason.REFUSED, f"{type(error).__name__} while it was read.")
        return None

    def answer(self, back: Scored) -> None:
        """A message has its verdict."""
        message = back.message
        told = verdict_of(message, back.verdict, back.about, datetime.now(UTC))
        key = back.entry.record.key
        record = to_record(told, message.id)
        if key is not None:
            record = Record(key, record.value, record.headers)
        back.entry.output = Output(self._topics.verdicts, record, "verdict")

    def failed(self, back: Faulty) -> None:
        """A message got none, through its own fault."""
        entry = back.entry
        told = str(back.error) or type(back.error).__name__
        if back.lasting:
            self.bury(entry, Reason.REFUSED, told)
            return
        again = retry(entry.record, entry.past, told, self._retries, time.time())
        if again is None:
            self.bury(entry, Reason.EXHAUSTED, told)
        else:
            entry.output = Output(*again, "retry")

    def shrunk(self, entry: Entry) -> Output | None:
        """What is written in the place of an output that is too large; None of this one itself."""
        if entry.output is None or entry.output.kind == _SHRUNK:
            return None
        record = dead_letter(
            entry.record,
            entry.past,
            Reason.TOO_LARGE,
            f"As {entry.output.kind} it is larger than {entry.output.topic} allows.",
            entry.timestamp,
            max_bytes=0,
        )
        return Output(self._topics.dead_letters, record, _SHRUNK)

    def bury(self, entry: Entry, reason: Reason, detail: str) -> None:
        """A record is a dead letter."""
        record = dead_letter(
            entry.record,
            entry.past,
            reason,
            detail,
            entry.timestamp,
            max_bytes=self._limits.max_letter_bytes,
        )
        entry.output = Output(self._topics.dead_letters, record, reason)
