"""Events over HTTP, as Knative sends them: each is answered with its verdict, or with a reason."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cloudevents import conversion
from cloudevents.http import CloudEvent

from rampart.inference.engine import Engine
from rampart.streaming.events import RECEIVED, VERDICT, Received, Verdict
from rampart.streaming.wire import data_of, event, from_http, to_http

SENDER = Path(__file__).parent / "sender"
AT = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def sink(other_bundle, tmp_path_factory):
    """A scorer that is sent events; gives its address."""
    log = tmp_path_factory.mktemp("sink") / "stderr.txt"
    command = [
        sys.executable, "-m", "serving.stream", "--source", "http", "--bundle", str(other_bundle),
        "--threads", "1", "--http-port", "0", "--max-event-bytes", "300000",
        "--max-text-bytes", "100000",
    ]  # fmt: skip
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        line = process.stdout.readline()
        assert line.startswith("Scoring"), line + log.read_text()
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert log.read_text() == ""


def received(text, identity="m-1"):
    return event(RECEIVED, Received(text=text, category="in"), id=identity, source="/mx", time=AT)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_is_answered_with_its_verdict_in_its_own_mode(sink, texts, other_bundle, mode):
    engine = Engine.load(other_bundle, threads=1)
    for number, right in enumerate(engine.score(texts[:20])):
        headers, body = to_http(received(texts[number], f"m-{number}"), mode)
        reply = httpx.post(sink, headers=headers, content=body)
        assert reply.status_code == 200
        structured = reply.headers["content-type"].startswith("application/cloudevents+json")
        assert structured == (mode == "structured")
        told = from_http(reply.headers, reply.content)
        verdict = data_of(told, Verdict)
        assert (told["type"], told["id"]) == (VERDICT, f"m-{number}")
        assert verdict.logit == pytest.approx(right.logit, abs=1e-6)
        assert (verdict.source, verdict.category, verdict.received) == ("/mx", "in", AT)


def test_the_packages_own_client_is_understood(sink):
    told = CloudEvent(
        {"type": RECEIVED, "source": "/py", "datacontenttype": "application/json"},
        {"text": "Win a prize"},
    )
    for write in (conversion.to_binary, conversion.to_structured):
        headers, body = write(told)
        reply = httpx.post(sink, headers=headers, content=body)
        assert reply.status_code == 200, reply.text
        assert from_http(reply.headers, reply.content)["id"] == told["id"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", 415, "batched"),
        ({"content-type": "application/json"}, b"{}", 415, "not-a-cloudevent"),
        ({"content-type": "application/cloudevents+json"}, b"{", 400, "bad-envelope"),
        ({"ce-type": "io.rampart.message.received.v2"}, b"{}", 400, "unknown-version"),
        ({"ce-type": "dev.knative.sources.ping"}, b"{}", 400, "unknown-type"),
        ({}, b"{}", 400, "bad-schema"),
        ({}, b"{", 400, "bad-data"),
        ({}, json.dumps({"text": "a " * 60_000}).encode(), 400, "too-large"),
    ],
)
def test_what_can_never_be_scored_is_not_worth_another_try(sink, headers, body, status, reason):
    usual = {"ce-specversion": "1.0", "ce-id": "m", "ce-source": "/x", "ce-type": RECEIVED}
    if "content-type" not in headers:
        headers = usual | {"content-type": "application/json"} | headers
    reply = httpx.post(sink, headers=headers, content=body)
    assert reply.status_code == status
    assert reply.headers["rampart-reason"] == reason
    assert reply.text.strip()


def test_a_body_over_the_limit_is_refused_before_it_is_read(sink):
    headers, _ = to_http(received("x"))
    reply = httpx.post(sink, headers=headers, content=b"x" * 400_000)
    assert reply.status_code == 413


def test_many_at_once_are_all_answered(sink, texts):
    def ask(number):
        headers, body = to_http(received(texts[number % 300], f"m-{number}"))
        while (reply := httpx.post(sink, headers=headers, content=body)).status_code == 503:
            assert reply.headers["retry-after"] == "1"
        return from_http(reply.headers, reply.content)["id"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(400))) == [f"m-{number}" for number in range(400)]
    shown = httpx.get(f"{sink.rstrip('/')}/metrics").text
    assert 'rampart_stream_outputs_total{kind="verdict"}' in shown
    assert httpx.get(f"{sink.rstrip('/')}/readyz").status_code == 200


@pytest.mark.graph
@pytest.mark.timeout(600)
def test_knatives_own_sdk_is_answered(sink, tmp_path):
    """Knative sends with Go's SDK for CloudEvents, which is built from its own source here."""
    go = shutil.which("go")
    assert go, "Go is not installed: it builds the sender"
    program = tmp_path / "sender"
    build = [go, "build", "-mod=readonly", "-o", str(program)]
    subprocess.run(build, cwd=SENDER, check=True)

    def send(mode, identity, kind, data):
        done = subprocess.run(
            [str(program), sink, mode, identity, kind],
            input=json.dumps(data),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    for mode in ("binary", "structured"):
        told = send(mode, f"go-{mode}", RECEIVED, {"text": "Win a free prize"})
        assert told["status"] == 200
        assert "invalid" not in told
        reply = told["reply"]
        assert (reply["type"], reply["id"]) == (VERDICT, f"go-{mode}")
        assert reply["traceparent"].startswith("00-0af7651916cd43dd")
        assert reply["data"]["message"] == reply["id"]
        refused = send(mode, "x", "io.rampart.message.received.v9", {"text": "a"})
        assert refused["status"] == 400
        assert "reply" not in refused
        # The SDK quotes nothing in headers, and reads nothing that is quoted.
        told = send(mode, "\N{SNOWMAN} 1", RECEIVED, {"text": "Win a free prize"})
        assert told["reply"]["data"]["message"] == "\N{SNOWMAN} 1"
