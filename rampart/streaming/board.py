"""What a stream does at this moment, for people who look: rate, latency, threats, campaigns."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rampart.errors import EventError
from rampart.streaming.connection import Connection, Topics, require
from rampart.streaming.events import DeadLetter, Verdict
from rampart.streaming.wire import data_of, from_record, record_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer

_AT_ONCE = 500
_ASSIGN_SECONDS = 10.0


@dataclass
class Board:
    """Counts what it is told; figures are of the last seconds.

    Attributes:
        seconds: that rate and latency are taken over.
        verdicts: so far.
        threats: of them.
        letters: dead letters by reason.
        latest: threats that came last, newest first.
        campaigns: by id, as the analytics tell them.
    """

    seconds: float = 10.0
    verdicts: int = 0
    threats: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    latest: deque[Verdict] = field(default_factory=lambda: deque(maxlen=6))
    campaigns: dict[str, dict[str, Any]] = field(default_factory=dict)
    _recent: deque[tuple[float, float]] = field(default_factory=deque)
    _most_campaigns: int = 200

    def verdict(self, verdict: Verdict, now: float) -> None:
        """A verdict came."""
        self.verdicts += 1
        self._recent.append((now, (verdict.scored - verdict.received).total_seconds()))
        if verdict.threat:
            self.threats += 1
            self.latest.appendleft(verdict)

    def letter(self, letter: DeadLetter) -> None:
        """A dead letter came."""
        self.letters[letter.reason] += 1

    def campaign(self, campaign: dict[str, Any]) -> None:
        """A campaign grew."""
        self.campaigns[campaign["campaign"]] = campaign
        if len(self.campaigns) > self._most_campaigns:
            del self.campaigns[min(self.campaigns, key=lambda one: self.campaigns[one]["last"])]

    def rate(self, now: float) -> float:
        """Verdicts a second."""
        while self._recent and self._recent[0][0] < now - self.seconds:
            self._recent.popleft()
        return len(self._recent) / self.seconds

    def latency(self, share: float) -> float:
        """Seconds from coming in to the verdict, not exceeded by such a share of messages."""
        seconds = [latency for _, latency in self._recent]
        return float(np.quantile(seconds, share)) if seconds else 0.0

    def largest(self, count: int) -> list[dict[str, Any]]:
        """The campaigns with most messages of a day."""
        ordered = sorted(self.campaigns.values(), key=lambda one: -one["messages"])
        return ordered[:count]


class Watcher:
    """Tells a board what is written from now on, or what was from the beginning."""

    def __init__(
        self, connection: Connection, topics: Topics, board: Board, *, whole: bool = False
    ) -> None:
        """Begin to read.

        Args:
            connection: to the cluster.
            topics: verdicts, dead letters and campaigns are read.
            board: that is told.
            whole: from the beginning.

        Raises:
            StreamError: the broker does not answer, or has no such topics.
        """
        from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition

        self._topics = topics
        self._board = board
        names = [topics.verdicts, topics.dead_letters, topics.campaigns]
        require(connection, names)
        self._consumer: Consumer = Consumer(
            connection.client(
                group_id="rampart-watch", enable_auto_commit=False, isolation_level="read_committed"
            )
        )
        there = self._consumer.list_topics(timeout=_ASSIGN_SECONDS).topics
        place = OFFSET_BEGINNING if whole else OFFSET_END
        self._consumer.assign(
            [
                TopicPartition(name, number, place)
                for name in names
                for number in there[name].partitions
            ]
        )

    def read(self, seconds: float) -> None:
        """Tell the board what comes within so many seconds."""
        for message in self._consumer.consume(_AT_ONCE, seconds):
            if message.error() is None:
                self._told(message)

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()

    def _told(self, message: Any) -> None:
        topic = message.topic()
        try:
            if topic == self._topics.campaigns:
                self._board.campaign(json.loads(message.value()))
                return
            told = from_record(record_of(message)[0])
            if topic == self._topics.verdicts:
                self._board.verdict(data_of(told, Verdict), time())
            else:
                self._board.letter(data_of(told, DeadLetter))
        except (EventError, ValueError, TypeError, KeyError):
            # Somebody else's record: it is none of what is looked at.
            return
