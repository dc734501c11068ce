"""From a received event to the verdict event on it, whoever computes and however it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cloudevents.http import CloudEvent

from rampart.data.mail import parse
from rampart.errors import EventError, OverloadedError
from rampart.inference.batching import Batcher
from rampart.inference.engine import WARM_UP, Engine
from rampart.inference.options import ScoreOptions
from rampart.inference.verdict import Verdict as Scored
from rampart.streaming.attributes import time_of
from rampart.streaming.events import VERDICT, Data, Reason, Received, Span, Verdict
from rampart.streaming.sketching import sketch
from rampart.streaming.wire import data_of, event

SOURCE = "/rampart/scorer"
PROBE = WARM_UP
"""A text that any bundle answers: where it gets no verdict, no text does."""

_SHOWN = 80
# Attributes of the received event that its verdict carries on: W3C Trace Context, and the key.
_CARRIED = ("traceparent", "tracestate", "partitionkey")


@dataclass(frozen=True, slots=True)
class About:
    """What verdicts are made by.

    Attributes:
        bundle: its id.
        threshold: probability from which a text is a threat.
        threat: the label of threats.
        method: how contributions are come by.
    """

    bundle: str
    threshold: float
    threat: str
    method: str


@dataclass(frozen=True, slots=True)
class Scores:
    """Verdicts on texts in their order, and what they are made by."""

    verdicts: Sequence[Scored]
    about: About


class Scorer(Protocol):
    """Who computes: an engine in this process, or a predictor elsewhere."""

    @property
    def texts(self) -> int:
        """Texts that one call should hold at the most."""

    @property
    def calls(self) -> int:
        """Calls that may be unanswered at once."""

    @property
    def alive(self) -> bool:
        """Whether calls are still being answered."""

    def submit(self, texts: Sequence[str]) -> Future[Scores]:
        """The verdicts on the texts, once they are there.

        The future's errors: an InputError where a text is refused, an OverloadedError or an
        UnknownModelError where nothing would be answered now, and whatever else goes wrong.
        """

    def close(self) -> None:
        """Answer what was submitted, and end."""


class EngineScorer:
    """A bundle in this process; its batcher puts calls together, so that each holds one text."""

    texts = 1

    def __init__(
        self,
        engine: Engine,
        *,
        calls: int = 64,
        tokens: int = 4_096,
        top_k: int = 10,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        """Begin to answer.

        Args:
            engine: nobody else may use it.
            calls: that may be unanswered at once.
            tokens: of one batch, about.
            top_k: spans that each explanation keeps at the most.
            on_batch: told the texts of each batch and the seconds that it took.
        """
        engine.warm_up()
        manifest = engine.manifest
        self.calls = calls
        self._about = About(manifest.id, manifest.threshold, manifest.labels[1], engine.method)
        self._options = ScoreOptions(top_k)
        self._batcher = Batcher(engine.begin, waiting=calls, tokens=tokens, on_batch=on_batch)

    @property
    def alive(self) -> bool:
        """Whether the batcher's threads are."""
        return self._batcher.alive

    def submit(self, texts: Sequence[str]) -> Future[Scores]:
        """The verdicts on the texts, once they are there."""
        answer: Future[Scores] = Future()

        def answered(done: Future[list[Scored]]) -> None:
            error = done.exception()
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(Scores(done.result(), self._about))

        try:
            self._batcher.submit(texts, self._options).add_done_callback(answered)
        except OverloadedError as error:
            answer.set_exception(error)
        return answer

    def close(self) -> None:
        """Answer what was submitted, and end."""
        self._batcher.close()


@dataclass(frozen=True, slots=True)
class Message:
    """A received event, ready to be scored.

    Attributes:
        told: the event.
        data: of it.
        text: to score.
        received: when it came in.
    """

    told: CloudEvent
    data: Received
    text: str
    received: datetime

    @property
    def id(self) -> str:
        """The event's, and the verdict's."""
        return str(self.told["id"])


def message_of(told: CloudEvent, now: datetime, *, max_text_bytes: int) -> Message:
    """The message in a received event.

    Args:
        told: as it was read.
        now: when it was read, which is when it came in if it says nothing, or a later time.
        max_text_bytes: that its text may take in UTF-8.

    Raises:
        EventError: it is another event, breaks its schema, or is too large.
    """
    data = data_of(told, Received)
    text = parse(data.mail).text if data.mail is not None else (data.text or "")
    # A character takes four bytes at the most, so that short texts need not be encoded for it.
    if len(text) * 4 > max_text_bytes:
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > max_text_bytes:
            raise EventError(
                f"The text has {size} bytes; {max_text_bytes} are allowed.",
                reason=Reason.TOO_LARGE,
            )
    # A sender's clock may be wrong, or lie: nothing comes in after it was read.
    return Message(told, data, text, min(time_of(told) or now, now))


def verdict_of(message: Message, scored: Scored, about: About, now: datetime) -> CloudEvent:
    """The verdict event on a message; it has the message's id."""
    parts = scored.explanation
    spans = tuple(
        Span.model_construct(
            start=start,
            end=end,
            contribution=value,
            text=message.text[start : min(end, start + _SHOWN)],
        )
        for start, end, value in zip(
            parts.start.tolist(), parts.end.tolist(), parts.value.tolist(), strict=True
        )
    )
    # Not checked again: what makes it is typed, and this is done for every message.
    verdict = Verdict.model_construct(
        message=message.id,
        source=str(message.told["source"]),
        category=message.data.category,
        received=message.received,
        scored=now,
        label=scored.label,
        threat=scored.label == about.threat,
        probability=scored.probability,
        logit=scored.logit,
        threshold=about.threshold,
        stage=scored.stage,
        models=dict(scored.models),
        bundle=about.bundle,
        method=about.method,
        bias=float(parts.bias),
        spans=spans,
        sketch=sketch(message.text),
    )
    return answer(message.told, VERDICT, verdict, now)


def answer(told: CloudEvent, kind: str, data: Data, now: datetime) -> CloudEvent:
    """An event in answer to another, with its id."""
    carried = {name: str(told[name]) for name in _CARRIED if told.get(name) is not None}
    return event(
        kind, data, id=str(told["id"]), source=SOURCE, time=now.astimezone(UTC), extensions=carried
    )
