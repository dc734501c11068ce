"""Messages on their way through a scorer, and whose fault it is where one does not come through.

A fault of one message is its own: it is scored once more alone, comes again later by a topic for
retries, and ends as a dead letter. A fault of all is an outage: nobody's attempts count, nothing is
asked but a probe now and then, and everything waits where it is. What tells the two apart is a text
that any bundle answers, asked right after the fault. A message that was under way in one outage
after the other may be what causes them: it is asked about alone then, and in the end it is faulty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from rampart.errors import InputError, OverloadedError, UnknownModelError
from rampart.inference.calls import tokens_of
from rampart.inference.verdict import Verdict
from rampart.streaming.breaker import Breaker
from rampart.streaming.lanes import Entry, Lane
from rampart.streaming.scoring import PROBE, About, Message, Scorer, Scores

_SUSPECT = 2
_GUILTY = 5


class Asked(NamedTuple):
    """A message, and the record that it came in."""

    entry: Entry
    message: Message


@dataclass(frozen=True, slots=True)
class Scored:
    """A message with its verdict."""

    entry: Entry
    message: Message
    verdict: Verdict
    about: About


@dataclass(frozen=True, slots=True)
class Faulty:
    """A message that got none, through its own fault.

    Attributes:
        entry: it.
        error: what was said.
        lasting: whether it would be said again however often it is tried.
    """

    entry: Entry
    error: BaseException
    lasting: bool


@dataclass(frozen=True, slots=True)
class _Call:
    asked: tuple[Asked, ...]
    future: Future[Scores]


class Calls:
    """What waits for a scorer and what it was asked; belongs to one thread."""

    def __init__(
        self, scorer: Scorer, breaker: Breaker, *, tokens: int = 4_096, seconds: float = 0.005
    ) -> None:
        """Nothing waits yet.

        Args:
            scorer: whom to ask.
            breaker: that says whether to ask.
            tokens: of one call, about; a single text may have more.
            seconds: that the first of a call waits for others, where calls are under way.
        """
        self.breaker = breaker
        self._scorer = scorer
        self._tokens = tokens
        self._seconds = seconds
        self._waiting: deque[Asked] = deque()
        self._alone: deque[tuple[Asked, ...]] = deque()
        self._asked: list[_Call] = []
        self._suspects: list[tuple[Asked, BaseException]] = []
        self._probe: Future[Scores] | None = None

    @property
    def busy(self) -> bool:
        """Whether anything may come back without anything new being asked."""
        return bool(self._asked or self._probe)

    @property
    def unanswered(self) -> int:
        """Messages that the scorer was asked about."""
        return sum(len(call.asked) for call in self._asked)

    @property
    def waiting(self) -> int:
        """Messages that it was not asked about yet."""
        return len(self._waiting) + sum(map(len, self._alone)) + len(self._suspects)

    def add(self, entry: Entry, message: Message) -> None:
        """A message is to be scored."""
        self._waiting.append(Asked(entry, message))

    def forget(self, lanes: Sequence[Lane]) -> None:
        """Ask nothing more about messages of these partitions."""
        gone = {id(lane) for lane in lanes}
        self._waiting = deque(one for one in self._waiting if id(one.entry.lane) not in gone)
        self._alone = deque(one for one in self._alone if id(one[0].entry.lane) not in gone)
        self._suspects = [one for one in self._suspects if id(one[0].entry.lane) not in gone]

    def under_way(self, lanes: Sequence[Lane]) -> bool:
        """Whether the scorer has not answered about a message of these partitions."""
        these = {id(lane) for lane in lanes}
        return any(id(one.entry.lane) in these for call in self._asked for one in call.asked)

    def ask(self) -> None:
        """Hand on what waits, as far as the breaker and the scorer let it."""
        if self.breaker.probe():
            self._probe = self._scorer.submit([PROBE])
        while self.breaker.closed and len(self._asked) < self._scorer.calls:
            asked = self._alone.popleft() if self._alone else self._gathered()
            asked = tuple(one for one in asked if not one.entry.lane.gone)
            if asked:
                texts = [one.message.text for one in asked]
                self._asked.append(_Call(asked, self._scorer.submit(texts)))
            elif not self._alone:
                return

    def come_back(self) -> Iterator[Scored | Faulty]:
        """What was answered since the last time."""
        done: list[_Call] = []
        left: list[_Call] = []
        # Each is asked once: one that is done a moment later would be in neither.
        for call in self._asked:
            (done if call.future.done() else left).append(call)
        self._asked = left
        for call in done:
            error = call.future.exception()
            if error is None:
                scores = call.future.result()
                for one, verdict in zip(call.asked, scores.verdicts, strict=True):
                    yield Scored(*one, verdict, scores.about)
            else:
                yield from self._faulty(call.asked, error)
        if self._probe is not None and self._probe.done():
            yield from self._probed(self._probe)

    def _gathered(self) -> tuple[Asked, ...]:
        """The next that are asked about together; nothing where more may come soon."""
        taken = tokens = 0
        for one in self._waiting:
            cost = tokens_of(one.message.text)
            if taken >= self._scorer.texts or (taken and tokens + cost > self._tokens):
                break
            tokens += cost
            taken += 1
        full = taken >= self._scorer.texts or taken < len(self._waiting)
        if not taken:
            return ()
        waited = monotonic() - self._waiting[0].entry.taken
        if self._asked and not full and waited < self._seconds:
            return ()
        return tuple(self._waiting.popleft() for _ in range(taken))

    def _faulty(self, asked: tuple[Asked, ...], error: BaseException) -> Iterator[Faulty]:
        if isinstance(error, OverloadedError | UnknownModelError):
            # Nothing is said of the messages.
            yield from self._outage(asked, error)
        elif len(asked) > 1:
            self._alone.extend((one,) for one in asked)
        elif isinstance(error, InputError):
            yield Faulty(asked[0].entry, error, lasting=True)
        else:
            self._suspects.append((asked[0], error))
            if self._probe is None and self.breaker.closed:
                self._probe = self._scorer.submit([PROBE])

    def _probed(self, probe: Future[Scores]) -> Iterator[Faulty]:
        self._probe = None
        suspects, self._suspects = self._suspects, []
        error = probe.exception()
        if error is not None:
            self.breaker.trip()
            # Each was asked about alone, so that each is judged alone, whatever failed beside it.
            for one, _ in reversed(suspects):
                yield from self._outage((one,), error)
            return
        if self.breaker.closed:
            for one, fault in suspects:
                yield Faulty(one.entry, fault, lasting=False)
        else:
            # They failed while nothing was answered.
            self._alone.extendleft((one,) for one, _ in reversed(suspects))
            self.breaker.mend()

    def _outage(self, asked: tuple[Asked, ...], error: BaseException) -> Iterator[Faulty]:
        self.breaker.trip()
        for one in reversed(asked):
            one.entry.outages += 1
            if one.entry.outages < _SUSPECT:
                self._waiting.appendleft(one)
            elif one.entry.outages < _GUILTY or len(asked) > 1:
                self._alone.append((one,))
            else:
                yield Faulty(one.entry, error, lasting=False)
