"""What the stream says is what DuckDB says of the same events, whatever broke on the way."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import duckdb
import httpx
import pytest

from benchmarks.streaming.harness import Feed, Tally
from rampart.streaming.events import VERDICT, Span, Verdict
from rampart.streaming.sketching import sketch
from rampart.streaming.wire import event, to_record

pytestmark = [pytest.mark.stream, pytest.mark.slow]
# Lately: a broker takes nothing of the future, and keeps nothing that is older than a week.
BASE = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
COUNT = 4_000
WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in ("ane", "ile", "ope", "ute", "ack", "est")]


def verdicts(count, seed, *, late=0.1, latest=480):
    """Verdicts over two hours in the order that they are written: some come minutes late."""
    draw = random.Random(seed)
    campaigns = [sketch(" ".join(draw.choices(WORDS, k=60))) for _ in range(40)]
    made = []
    for number in range(count):
        at = BASE + timedelta(seconds=number * 7_200 / count)
        delay = draw.uniform(30, latest) if draw.random() < late else 0
        threat = draw.random() < 0.3
        verdict = Verdict(
            message=f"m-{number}",
            source=f"/mx/{number % 3}",
            category=draw.choice(["inbound", "list"]),
            received=at,
            scored=at + timedelta(milliseconds=draw.randint(2, 900)),
            label="spam" if threat else "ham",
            threat=threat,
            probability=draw.random(),
            logit=draw.gauss(0, 2),
            threshold=0.5,
            stage=draw.choice(["ngram", "voting"]),
            bundle="b",
            method="terms",
            bias=0.1,
            spans=(
                Span(start=0, end=4, contribution=1.5, text=draw.choice(WORDS)),
                Span(start=5, end=9, contribution=-1.5, text="calm"),
            ),
            sketch=draw.choice(campaigns),
        )
        made.append((at + timedelta(seconds=delay), verdict))
    return [verdict for _, verdict in sorted(made, key=lambda one: one[0])]


def record(verdict):
    told = event(VERDICT, verdict, id=verdict.message, source="/s", time=verdict.scored)
    return to_record(told, verdict.message)


def flush(number):
    """So much later that every window before is closed; one for each source and category."""
    return [
        verdict.model_copy(
            update={
                "message": f"flush-{number}-{source}-{category}",
                "sketch": "",
                "source": source,
                "category": category,
                "received": BASE + timedelta(hours=12 + number),
                "scored": BASE + timedelta(hours=12 + number),
            }
        )
        for verdict in verdicts(1, 0)
        for source in ("/mx/0", "/mx/1", "/mx/2")
        for category in ("inbound", "list")
    ]


def feed_of(stream):
    # In batches as small as a stream's that is not read from a file.
    return Feed(stream.connection, stream.topics.verdicts, batch_num_messages=20)


class Analytics:
    """The process, and what it writes."""

    def __init__(self, stream, folder, *arguments):
        self.command = [
            sys.executable, "-m", "serving.stream", "analytics",
            "--broker", stream.connection.bootstrap,
            "--topics", stream.topics.received.removesuffix("-received"),
            "--analytics-group", f"{stream.topics.received}-analytics",
            "--state", str(folder / "state"), "--table", str(folder / "table"),
            "--http-port", "0", "--commit-seconds", "0.5", *arguments,
        ]  # fmt: skip
        self.log = folder / "analytics.log"
        self.process = None
        self.url = ""

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        assert line.startswith("Following"), self.log.read_text()
        self.url = line.split()[-1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(40)
        self.process.stdout.close()
        return code

    def counted(self, name):
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
        return 0.0


@pytest.fixture
def analytics(trial, tmp_path):
    started = []

    def opened(stream, *arguments):
        one = Analytics(stream, tmp_path, *arguments)
        started.append(one)
        return one

    yield opened
    for one in started:
        if one.process is not None and one.process.poll() is None:
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
    """The same windows by DuckDB: {(source, category, start): (messages, threats, bins)}."""
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
        with w as (
            select source, category, threat, least(19, floor(p * 20)) as bin,
                (ms // $step) * $step - back * $step as start
            from v, range($length // $step) as offsets(back)),
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


def test_windows_and_campaigns_are_those_of_a_batch_whatever_was_killed(trial, analytics, tmp_path):
    made = verdicts(COUNT, 5)
    with trial() as stream:
        follower = analytics(stream, "--lateness-seconds", "3600", "--sliding-seconds", "1800")
        follower.start()
        feed = feed_of(stream)
        for number, verdict in enumerate(made):
            feed.send(record(verdict))
            if number in (COUNT // 4, COUNT // 2):
                feed.flush()
                time.sleep(4)
                follower.kill()
                follower.start()
        feed.flush()
        # Partitions do not come on evenly: what is hours later must not overtake the rest.
        table = f"'{tmp_path}/table/*.parquet'"
        rows(table, COUNT)
        feed.all(record(verdict) for verdict in flush(0))
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
        whole = COUNT + len(flush(0))
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
    assert campaigns == 40
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
        feed.all(record(verdict) for verdict in [*made, *flush(0)])
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


def test_who_comes_too_late_is_counted_and_changes_no_window(trial, analytics):
    made = verdicts(600, 7, late=0)
    with trial(partitions=1) as stream:
        follower = analytics(stream, "--lateness-seconds", "60")
        follower.start()
        feed = feed_of(stream)
        late = [
            one.model_copy(update={"message": f"late-{number}"})
            for number, one in enumerate(made[:5])
        ]
        feed.all(record(verdict) for verdict in [*made, *late, *flush(0)])
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


def test_what_is_no_verdict_is_passed_over(trial, analytics):
    made = verdicts(50, 8, late=0)
    with trial(partitions=1) as stream:
        follower = analytics(stream)
        follower.start()
        feed = feed_of(stream)
        wrong = record(made[0])
        broken = type(wrong)(wrong.key, b"{", wrong.headers)
        feed.all([broken, *(record(verdict) for verdict in [*made, *flush(0)]), broken])
        told = follow(
            stream,
            stream.topics.windows,
            lambda found: sum(it["messages"] for it in found if it["kind"] == "tumbling") >= 50,
        )
    assert told
    assert "is no verdict" in follower.log.read_text()
