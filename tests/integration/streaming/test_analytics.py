"""What the stream says is what DuckDB says of the same events, whatever broke on the way."""

from __future__ import annotations

import json
import shutil
import time
from datetime import timedelta

import duckdb
import pytest

from benchmarks.streaming.analysed import (
    BASE,
    CAMPAIGNS,
    Analytics,
    closers,
    records,
    verdicts,
)
from benchmarks.streaming.analysed import rows as rows_of
from benchmarks.streaming.harness import Feed, Tally

pytestmark = [pytest.mark.stream, pytest.mark.slow]
COUNT = 4_000


def feed_of(stream):
    # In batches as small as a stream's that is not read from a file.
    return Feed(stream.connection, stream.topics.verdicts, batch_num_messages=20)


@pytest.fixture
def analytics(trial, tmp_path):
    started = []

    def opened(stream, *arguments):
        one = Analytics(stream, tmp_path, *arguments)
        started.append(one)
        return one

    yield opened
    for one in started:
        one.kill()


def follow(stream, topic, wanted, seconds=120):
    """What a topic holds once `wanted` is content with it."""
    found = []
    tally = Tally(
        stream.connection, [topic], keep=lambda one: found.append(json.loads(one.value()))
    )
    deadline = time.monotonic() + seconds
    while not wanted(found):
        assert time.monotonic() < deadline, f"{len(found)} came"
        tally.read()
    tally.rest(1.5)
    tally.close()
    return found


def batch(made, seconds, step):
    """The same windows by DuckDB: {(source, category, start): (messages, threats, bins)}.

    One ends with each step that a message came in.
    """
    rows = [
        (one.source, one.category, round(one.received.timestamp() * 1e3), one.threat,
         one.probability)
        for one in made
    ]  # fmt: skip
    database = duckdb.connect()
    database.execute("create table v(source text, category text, ms bigint, threat bool, p double)")
    database.executemany("insert into v values (?, ?, ?, ?, ?)", rows)
    found = database.execute(
        """
        with ends as (
            select distinct source, category, (ms // $step + 1) * $step as until from v),
        w as (
            select v.source, v.category, threat, least(19, floor(p * 20)) as bin,
                until - $length as start
            from ends join v on v.source = ends.source and v.category = ends.category
                and ms >= until - $length and ms < until),
        bins as (
            select source, category, start, bin, count(*) as n, count(*) filter (threat) as t
            from w group by all)
        select source, category, start, sum(n), sum(t), map_from_entries(list((bin, n)))
        from bins group by all
        """,
        {"step": step * 1_000, "length": seconds * 1_000},
    ).fetchall()
    return {
        tuple(row[:3]): (row[3], row[4], [row[5].get(float(place), 0) for place in range(20)])
        for row in found
    }


def rows(table, count, seconds=90):
    """Wait until so many rows are there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = duckdb.sql(f"select count(*) from {table}").fetchall()[0][0]
        except duckdb.IOException:
            found = 0
        if found >= count:
            return
        assert time.monotonic() < deadline, f"{found} rows"
        time.sleep(0.3)


@pytest.mark.parametrize("disk", ["kept", "gone"])
def test_windows_and_campaigns_are_those_of_a_batch_whatever_was_killed(
    trial, analytics, tmp_path, disk
):
    made = verdicts(COUNT, 5)
    with trial() as stream:
        follower = analytics(stream, "--lateness-seconds", "3600", "--sliding-seconds", "1800")
        follower.start()
        feed = feed_of(stream)
        for number, record in enumerate(records(made)):
            feed.send(record)
            if number in (COUNT // 4, COUNT // 2):
                feed.flush()
                time.sleep(4)
                follower.kill()
                if disk == "gone":
                    shutil.rmtree(tmp_path / "state")
                follower.start()
        feed.flush()
        # Partitions do not come on evenly: what is hours later must not overtake the rest.
        table = f"'{tmp_path}/table/*.parquet'"
        rows(table, COUNT)
        feed.all(records(closers()))
        expected = batch(made, 60, 60)
        slid = batch(made, 1_800, 300)
        horizon = (BASE + timedelta(hours=6)).timestamp() * 1e3
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: (
                sum(one["kind"] == "tumbling" and one["end"] < horizon for one in found)
                >= len(expected)
                and sum(one["kind"] == "sliding" and one["end"] < horizon for one in found)
                >= len(slid)
            ),
        )
        assert follower.counted("rampart_analytics_late_total") == 0
        whole = COUNT + len(closers())
        rows(table, whole)
        grown = follow(stream, stream.topics.campaigns, bool)
        assert follower.stop() == 0
    for kind, wanted in (("tumbling", expected), ("sliding", slid)):
        windows = [one for one in told if one["kind"] == kind and one["end"] < horizon]
        found = {
            (one["source"], one["category"], one["start"]): (
                one["messages"],
                one["threats"],
                one["probability"],
            )
            for one in windows
        }
        # None comes twice, though what wrote it was killed twice.
        assert len(found) == len(windows)
        assert found == wanted
    [(count, different, campaigns)] = duckdb.sql(
        f"select count(*), count(distinct message), count(distinct campaign) from {table}"
    ).fetchall()
    assert count == different == whole
    assert campaigns == CAMPAIGNS
    sizes = dict(duckdb.sql(
        f"select campaign, count(*) from {table} where received < '{BASE + timedelta(hours=6)}' "
        "group by all"
    ).fetchall())  # fmt: skip
    latest = {one["campaign"]: one for one in grown if one["last"] < horizon}
    assert {name: one["messages"] for name, one in latest.items()} == sizes
    assert all(one["samples"][0] == name for name, one in latest.items())


def test_percentiles_and_words_are_within_what_is_said_of_them(trial, analytics):
    made = verdicts(1_000, 6, late=0)
    with trial(partitions=1) as stream:
        follower = analytics(stream, "--tumbling-seconds", "7200")
        follower.start()
        feed = feed_of(stream)
        feed.all(records([*made, *closers()]))
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: sum(one["kind"] == "tumbling" for one in found) >= 6,
        )
    for one in (one for one in told if one["kind"] == "tumbling"):
        mine = [
            verdict
            for verdict in made
            if (verdict.source, verdict.category) == (one["source"], one["category"])
        ]
        exact = sorted((it.scored - it.received).total_seconds() * 1e3 for it in mine)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            right = exact[min(len(exact) - 1, int(share * len(exact)))]
            assert one["latency"][name] == pytest.approx(right, rel=0.06, abs=2)
        threats = [verdict for verdict in mine if verdict.threat]
        counts = {}
        for verdict in threats:
            counts[verdict.spans[0].text] = counts.get(verdict.spans[0].text, 0) + 1
        best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
        assert [(word["text"], word["messages"]) for word in one["words"]] == best


@pytest.mark.parametrize("seconds", [60, 3_600])
def test_who_comes_too_late_is_counted_and_changes_no_window(trial, analytics, seconds):
    made = verdicts(600, 7, late=0)
    with trial(partitions=1) as stream:
        follower = analytics(stream, "--lateness-seconds", str(seconds))
        follower.start()
        feed = feed_of(stream)
        late = [
            one.model_copy(update={"message": f"late-{number}"})
            for number, one in enumerate(made[:5])
        ]
        feed.all(records([*made, *late, *closers()]))
        expected = batch(made, 60, 60)
        horizon = (BASE + timedelta(hours=6)).timestamp() * 1e3
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: (
                sum(one["kind"] == "tumbling" and one["end"] < horizon for one in found)
                >= len(expected)
            ),
        )
        assert follower.counted("rampart_analytics_late_total") == 5
    found = [one for one in told if one["kind"] == "tumbling" and one["end"] < horizon]
    assert {(one["source"], one["category"], one["start"]): one["messages"] for one in found} == {
        place: counts[0] for place, counts in expected.items()
    }


def test_panes_that_close_at_once_make_their_hours_in_order(trial, analytics):
    """Though one of them lies in the store, and the other still in what is to be stored."""
    first, second, last = (
        verdicts(1, 0, late=0)[0].model_copy(
            update={"message": name, "received": BASE + at, "scored": BASE + at}
        )
        for name, at in (
            ("first", timedelta(minutes=1)),
            ("second", timedelta(minutes=6)),
            ("last", timedelta(hours=9)),
        )
    )
    with trial(partitions=1) as stream:
        follower = analytics(stream, "--commit-seconds", "3")
        follower.start()
        feed = feed_of(stream)
        feed.all(records([first]))
        deadline = time.monotonic() + 60
        # A row of the table is there once it is stored.
        while rows_of(follower.table) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        feed.all(records([second, last]))
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: sum(one["kind"] == "sliding" for one in found) >= 2,
        )
    hours = [one["messages"] for one in told if one["kind"] == "sliding"]
    assert hours == [1, 2]


def test_what_is_no_verdict_is_passed_over(trial, analytics):
    made = verdicts(50, 8, late=0)
    with trial(partitions=1) as stream:
        follower = analytics(stream)
        follower.start()
        feed = feed_of(stream)
        wrong, *_ = records(made)
        broken = type(wrong)(wrong.key, b"{", wrong.headers)
        feed.all([broken, *records([*made, *closers()]), broken])
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: sum(it["messages"] for it in found if it["kind"] == "tumbling") >= 50,
        )
    assert told
    assert "is no verdict" in follower.log.read_text()
