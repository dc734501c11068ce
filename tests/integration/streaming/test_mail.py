"""Mails in: over SMTP and from a folder, each taken once the broker has it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from benchmarks.streaming.harness import Tally
from rampart.streaming.events import Received
from rampart.streaming.wire import Record, data_of, from_record

MAIL = (
    b"Received: from a by b; Fri, 27 Nov 2026 10:00:00 +0000\r\nSubject: Win\r\n\r\n"
    b"A prize\r\n.\r\nwith a dot\r\n"
)

pytestmark = pytest.mark.stream


@contextmanager
def running(stream, tmp_path, *call, **env):
    command = [sys.executable, "-m", "rampart.cli", "stream", *call]
    command += ["--broker", stream.connection.bootstrap]
    command += ["--topics", stream.topics.received.removesuffix("-received")]
    environment = os.environ | {f"RAMPART_STREAM_{name}": value for name, value in env.items()}
    log = tmp_path / "mail.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        ) as process,
    ):
        line = process.stdout.readline()
        assert line.startswith("Taking mails"), line + log.read_text()
        try:
            yield line, log
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def arrived(stream, count):
    found = []
    tally = Tally(stream.connection, [stream.topics.received], keep=found.append)
    tally.until(count)
    tally.rest(0.5)
    tally.close()
    return [from_record(Record(one.key(), one.value(), one.headers())) for one in found]


def dial(line):
    return smtplib.SMTP("127.0.0.1", int(re.search(r":(\d+),", line)[1]), timeout=30)


def test_a_mail_over_smtp_is_an_event_with_its_bytes(trial, tmp_path):
    with trial() as stream, running(stream, tmp_path, "smtp", "--port", "0") as (line, log):
        with dial(line) as client:
            for _ in range(2):
                client.sendmail("a@example.org", ["b@example.org", "c@example.org"], MAIL)
        events = arrived(stream, 1)
    assert "ERROR" not in log.read_text()
    # Sent twice it is one message: it has the same id.
    assert [told["id"] for told in events] == [hashlib.sha256(MAIL).hexdigest()] * 2
    assert data_of(events[0], Received).mail == MAIL


def test_limits_are_told_in_smtps_own_words(trial, tmp_path):
    limits = {"MAX_MAIL_BYTES": "2000", "MAX_RECIPIENTS": "2", "CONNECTIONS": "2"}
    with (
        trial() as stream,
        running(stream, tmp_path, "smtp", "--port", "0", **limits) as (line, _),
    ):
        with dial(line) as client:
            with pytest.raises(smtplib.SMTPResponseException) as caught:
                client.sendmail("a@example.org", ["b@example.org"], MAIL + b"x" * 3_000)
            assert caught.value.smtp_code == 552
        with dial(line) as client:
            people = [f"p{number}@example.org" for number in range(4)]
            refused = client.sendmail("a@example.org", people, MAIL)
            assert {code for code, _ in refused.values()} == {452}
            assert len(refused) == 2
        with dial(line), dial(line):
            late = socket.create_connection(
                ("127.0.0.1", int(re.search(r":(\d+),", line)[1])), timeout=30
            )
            with late:
                assert late.recv(100).startswith(b"421")
        with dial(line) as client:
            assert client.noop()[0] == 250


def test_a_broker_that_is_away_has_the_mail_sent_again_later(trial, tmp_path):
    from broker.local import Broker

    broker = Broker(tmp_path / "kafka")
    broker.start()
    try:
        with (
            trial(address=broker.address) as stream,
            running(stream, tmp_path, "smtp", "--port", "0", DELIVER_SECONDS="2") as (line, _),
        ):
            broker.kill()
            with dial(line) as client:
                with pytest.raises(smtplib.SMTPResponseException) as caught:
                    client.sendmail("a@example.org", ["b@example.org"], MAIL)
                assert caught.value.smtp_code == 451
            broker.start()
            with dial(line) as client:
                for _ in range(30):
                    try:
                        client.sendmail("a@example.org", ["b@example.org"], MAIL)
                    except smtplib.SMTPResponseException:
                        continue
                    break
            assert {told["id"] for told in arrived(stream, 1)} == {hashlib.sha256(MAIL).hexdigest()}
    finally:
        broker.stop()


def test_mails_in_a_folder_are_taken_once_and_put_away(trial, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "1.eml").write_bytes(MAIL)
    (inbox / "2.eml").write_bytes(MAIL + b"x" * 3_000)
    (inbox / "notes.txt").write_text("no mail")
    (tmp_path / "secret.eml").write_text("somebody else's")
    (inbox / "3.eml").symlink_to(tmp_path / "secret.eml")
    with (
        trial() as stream,
        running(stream, tmp_path, "folder", str(inbox), MAX_MAIL_BYTES="2000"),
    ):
        events = arrived(stream, 1)
        deadline = time.monotonic() + 30
        while not ((inbox / "taken/1.eml").exists() and (inbox / "refused/2.eml").exists()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    [told] = events
    assert data_of(told, Received).mail == MAIL
    assert sorted(path.name for path in inbox.iterdir()) == [
        "3.eml", "notes.txt", "refused", "taken",
    ]  # fmt: skip
