"""Verdicts in, figures out: Quix Streams over the topic of verdicts, exactly once.

Verdicts are brought together by source and category for windows, and all in one place for
campaigns. Time is the messages' own: a window is closed when the stream has come so far past its
end as late messages may come, and whoever comes later still is counted as late. State lies in
RocksDB, and in changelog topics from which it is made anew where the disk is gone.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampart.errors import EventError
from rampart.streaming.analytics import campaigns, parquet, windows
from rampart.streaming.analytics.figures import AnalyticsFigures
from rampart.streaming.connection import Connection, Topics
from rampart.streaming.events import Verdict
from rampart.streaming.wire import Record, data_of, from_record

with warnings.catch_warnings():
    # What reads Confluent's registry, which is not used here, complains of what it is made of.
    warnings.simplefilter("ignore")
    from quixstreams import Application
    from quixstreams.dataframe.windows.aggregations import Aggregator
    from quixstreams.kafka import ConnectionConfig
    from quixstreams.models.serializers import Deserializer, IgnoreMessage
    from quixstreams.sinks import BatchingSink, SinkBatch

if TYPE_CHECKING:
    from quixstreams.dataframe import StreamingDataFrame

_log = logging.getLogger("rampart.analytics")
_EVERYTHING = "all"
_BETWEEN = "\x1f"
_PANES = "panes"
_AT_ONCE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Windows:
    """How time is cut.

    Attributes:
        tumbling: length of windows side by side.
        sliding: length of windows that overlap, so many steps.
        step: from one of those to the next.
        lateness: that a message may come after its window's end, by the stream's own time.
    """

    tumbling: timedelta = timedelta(minutes=1)
    sliding: timedelta = timedelta(hours=1)
    step: timedelta = timedelta(minutes=5)
    lateness: timedelta = timedelta(minutes=10)


class Slices(Aggregator):  # type: ignore[misc]
    """What a window knows; see `rampart.streaming.analytics.windows`."""

    def initialize(self) -> windows.State:
        """Of a window that nothing came into."""
        return windows.empty()

    def agg(self, old: windows.State, new: Any, timestamp: int) -> windows.State:
        """With one verdict more."""
        del timestamp
        return windows.add(old, new)

    def result(self, value: windows.State) -> windows.State:
        """What is told of it."""
        return windows.result(value)


class Panes(Slices):
    """What windows that overlap are made of: each message is counted in one alone."""

    def result(self, value: windows.State) -> windows.State:
        """All that is known of it."""
        return value


class VerdictReader(Deserializer):  # type: ignore[misc]
    """Reads verdict events; what is none is passed over."""

    def __call__(self, value: bytes, ctx: Any) -> windows.State:
        """Of a verdict what is needed here."""
        try:
            told = from_record(Record(None, value, list(ctx.headers or ())))
            verdict = data_of(told, Verdict)
            scored = _milliseconds(verdict.scored)
            received = min(_milliseconds(verdict.received), scored)
        except (EventError, OverflowError, ValueError) as error:
            _log.warning("A record of %s is no verdict: %s", ctx.topic, error)
            raise IgnoreMessage from None
        return windows.slim(verdict.model_dump(), received, scored)


class Table(BatchingSink):  # type: ignore[misc]
    """Writes what comes as Parquet files, one for each part of the stream that was marked read."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def write(self, batch: SinkBatch) -> None:
        """Write a batch; written again it takes its own place."""
        name = f"{batch.partition:05d}-{batch.start_offset:020d}"
        parquet.write(self._folder, name, [item.value for item in batch])


def application(
    connection: Connection,
    topics: Topics,
    *,
    group: str = "rampart-analytics",
    state: Path,
    table: Path | None = None,
    cut: Windows | None = None,
    figures: AnalyticsFigures | None = None,
    commit_seconds: float = 2.0,
) -> Application:
    """The application; `run` runs it until it is told to stop.

    Args:
        connection: to the cluster.
        topics: their names; verdicts are read, windows and campaigns written.
        group: consumer group, whose name the topics of its state have too.
        state: folder of what has to survive a restart.
        table: folder of Parquet files; none by default.
        cut: how time is.
        figures: shown to Prometheus.
        commit_seconds: between two marks; so long a result may wait before others see it.
    """
    cut = cut or Windows()
    figures = figures or AnalyticsFigures()
    app = Application(
        broker_address=_address(connection),
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=str(state),
        commit_interval=commit_seconds,
        consumer_poll_timeout=0.2,
        loglevel="WARNING",
        consumer_extra_config={
            "logger": logging.getLogger("rampart.kafka"),
            # Who is started again in its own place is the same member: it goes on at once, and
            # no partition is given to one that was killed and is not missed yet.
            "group.instance.id": f"{group}-{state.resolve().name}",
            "session.timeout.ms": 30_000,
            # Little of a partition at once, so that in a backlog all come on about evenly: what is
            # read of one before the others makes their messages late.
            "fetch.message.max.bytes": _AT_ONCE_BYTES,
            "queued.min.messages": 1,
            # And soon more: by default a second is waited, in which what is brought together in one
            # partition falls behind the many that it comes from.
            "fetch.queue.backoff.ms": 10,
        },
        producer_extra_config={
            "logger": logging.getLogger("rampart.kafka"),
            "transactional.id": f"{group}-{state.resolve().name}",
            # What is brought together in one partition is read by the batch: so they are large, and
            # small on the wire.
            "compression.type": "zstd",
            "linger.ms": 200,
            "batch.num.messages": 2_000,
        },
    )
    verdicts = app.topic(
        topics.verdicts,
        value_deserializer=VerdictReader(),
        timestamp_extractor=_came_in,
    )
    told = app.dataframe(verdicts).update(figures.verdict)
    _windows(app, told, topics, cut, figures)
    _campaigns(app, told, topics, table, figures)
    return app


def run(app: Application, stopped: threading.Event | None = None) -> None:
    """Run it until it is told to stop, by a signal or by the event."""
    if stopped is not None:

        def watch() -> None:
            stopped.wait()
            app.stop()

        threading.Thread(target=watch, daemon=True).start()
    app.run()


def _windows(
    app: Application,
    told: StreamingDataFrame,
    topics: Topics,
    cut: Windows,
    figures: AnalyticsFigures,
) -> None:
    written = app.topic(topics.windows, key_serializer="str")
    slices = told.group_by(
        lambda value: f"{value['source']}{_BETWEEN}{value['category']}",
        name="slices",
        key_serializer="str",
        key_deserializer="str",
    )

    def late(*_: Any) -> bool:
        figures.late.inc()
        return False

    def again(*_: Any) -> bool:
        # Counted as late once, in the others.
        return False

    def shown(closed: StreamingDataFrame, kind: str) -> None:
        closed.apply(_described(kind), metadata=True).update(figures.window).to_topic(written)

    minutes = slices.tumbling_window(cut.tumbling, cut.lateness, on_late=late)
    shown(_closed(minutes.agg(value=Slices()), cut.tumbling, late), "tumbling")
    length = round(cut.sliding.total_seconds() * 1e3)

    def slid(pane: dict[str, Any], state: Any) -> dict[str, Any]:
        panes, window = windows.slid(state.get(_PANES, []), pane, length)
        state.set(_PANES, panes)
        return window

    panes = slices.tumbling_window(
        cut.step,
        cut.lateness,
        name=_PANES,
        on_late=again,
    )
    whole = _closed(panes.agg(value=Panes()), cut.step, again)
    shown(whole.apply(slid, stateful=True), "sliding")


def _closed(window: Any, length: timedelta, late: Callable[[], bool]) -> StreamingDataFrame:
    """Windows once they are closed, in the order of time for each key.

    Two things are not as Quix Streams 3.28 has them. Of what comes to a window that was closed it
    takes the lateness off twice: up to so much later a message would begin the window anew, which
    nothing closes again. And windows that close at once come as its cache has them.
    """
    process = window.process_window
    milliseconds = round(length.total_seconds() * 1e3)

    def processed(**given: Any) -> tuple[Any, Any]:
        moment, transaction = given["timestamp_ms"], given["transaction"]
        end = moment - moment % milliseconds + milliseconds
        if end <= transaction.get_latest_expired(prefix=b""):
            late()
            return [], []
        updated, expired = process(**given)
        return updated, sorted(expired, key=lambda one: one[1]["start"])

    window.process_window = processed
    found: StreamingDataFrame = window.final(closing_strategy="partition")
    return found


def _campaigns(
    app: Application,
    told: StreamingDataFrame,
    topics: Topics,
    table: Path | None,
    figures: AnalyticsFigures,
) -> None:
    written = app.topic(topics.campaigns, key_serializer="str")
    together = told.group_by(
        lambda _: _EVERYTHING, name="together", key_serializer="str", key_deserializer="str"
    )

    def assigned(value: dict[str, Any], state: Any) -> dict[str, Any]:
        found = campaigns.assign(state, value)
        rest = {name: one for name, one in value.items() if name != "sketch"}
        return rest | {"campaign": found and found["campaign"], "seen": found}

    rows = together.apply(assigned, stateful=True)
    if table is not None:
        rows.sink(Table(table))
    seen = rows.apply(lambda value: value["seen"]).filter(lambda value: value is not None)
    grown = seen.filter(lambda value: value["messages"] > 1).update(figures.campaign)
    grown.to_topic(written, key=lambda value: value["campaign"])


def _described(kind: str) -> Callable[..., dict[str, Any]]:
    def described(value: Mapping[str, Any], key: str, *_: Any) -> dict[str, Any]:
        source, category = key.split(_BETWEEN, 1)
        return {
            "kind": kind,
            "source": source,
            "category": category,
            "start": value["start"],
            "end": value["end"],
            **value["value"],
        }

    return described


def _came_in(value: Mapping[str, Any], *_: Any) -> int:
    moment: int = value["received"]
    return moment


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1e3)


def _address(connection: Connection) -> ConnectionConfig:
    known = connection.client()
    known.pop("logger")
    return ConnectionConfig.from_librdkafka_dict(known, ignore_extras=True)
