"""What happens, as server-sent events: each with an id, from which a client goes on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable

from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from rampart.errors import OverloadedError, RampartError
from rampart.tuning.studies import StudySummary
from serving.control.refusal import refuse
from serving.control.runs.base import ENDED, Runs

_log = logging.getLogger("rampart.control")
_LOOK_AT_STUDY = 1.0
_SECONDS_TO_TAKE = 60
Events = AsyncIterator[ServerSentEvent]


class Streams:
    """The streams that are open, which are bounded.

    Args:
        most: that may be open at once.
        heartbeat: seconds after which a silent one says so.
    """

    def __init__(self, most: int, heartbeat: float) -> None:
        self._most = most
        self._heartbeat = heartbeat
        self._open: set[_Stream] = set()

    def response(self, events: Events) -> EventSourceResponse:
        """The response that sends the events, until they end or the client takes no more of them.

        Raises:
            OverloadedError: as many as may are open.
        """
        if len(self._open) >= self._most:
            raise OverloadedError(
                f"{self._most} streams of events are open, as many as may be at once.",
                "Close one, or ask now and then for the run or the study itself.",
            )
        return _Stream(_told(events), self._heartbeat, self._open)


class _Stream(EventSourceResponse):
    def __init__(self, events: Events, heartbeat: float, among: set[_Stream]) -> None:
        super().__init__(events, ping=heartbeat, send_timeout=_SECONDS_TO_TAKE)
        self._among = among

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._among.add(self)
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            _log.warning("A client took no event in %s seconds and is left", _SECONDS_TO_TAKE)
        finally:
            self._among.discard(self)


async def _told(events: Events) -> Events:
    """The events; where what is followed can no longer be looked at, `error` is the last one."""
    try:
        async for event in events:
            yield event
    except RampartError as error:
        yield _event("error", json.dumps(refuse(error)), None)


async def run_events(home: Runs, run_id: str, after: str) -> Events:
    """Steps and lines after a place; then `end` with the run, and the stream ends."""
    seen, ended = after, None
    while True:
        some = await asyncio.to_thread(home.happenings, run_id, seen)
        for happening in some:
            seen = happening.id
            yield _event(happening.kind, json.dumps(happening.data), seen)
        if some:
            continue
        # Its history was read once more after it had ended, and so is whole.
        if ended is not None:
            yield _event("end", ended.model_dump_json(), seen or None)
            return
        run = await asyncio.to_thread(home.get, run_id)
        if run.state in ENDED:
            ended = run
        else:
            await asyncio.sleep(home.patience)


async def study_events(
    get: Callable[[], StudySummary], worked_at: Callable[[], bool], patience: float, after: str
) -> Events:
    """The study whenever it has changed; then `end`, and the stream ends.

    An event's id stands for what it shows, so that whoever saw that is sent only what is newer.
    """
    seen = after
    while True:
        goes_on = await asyncio.to_thread(worked_at)
        study = await asyncio.to_thread(get)
        shown = _mark(study)
        if shown != seen:
            seen = shown
            yield _event("study", study.model_dump_json(), shown)
        if not goes_on and study.state in ("ended", "idle"):
            yield _event("end", study.model_dump_json(), shown)
            return
        await asyncio.sleep(max(patience, _LOOK_AT_STUDY))


def _event(kind: str, data: str, number: str | None) -> ServerSentEvent:
    return ServerSentEvent(data, event=kind, id=number, sep="\n")


def _mark(study: BaseModel) -> str:
    return hashlib.sha256(study.model_dump_json().encode()).hexdigest()[:16]
