"""What a client sends to break the API is refused for what it is, and nothing is read for it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from rampart.errors import InputError
from serving.control.places import Places
from tests.unit.serving.control.conftest import Calls

RUNS = "/v1/runs"


def refused(answer: httpx.Response, *statuses: int) -> str:
    """Why, once it is sure that it was, in few words."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 3_000
    said: str = answer.json()["detail"]
    return said


def test_json_made_to_break_is_refused(client: Calls) -> None:
    calls = client()
    run = b'{"pipeline": "training", "arguments": '
    for body in (
        b"[" * 100_000,
        run + b'{"a":' * 5_000,
        b'{"pipeline": ' + b"9" * 10_000 + b"}",
        b'{"pipeline": "training", "\\ud800": 1}',
        b'{"pipeline": "training", "' + b"a" * 100_000 + b'": 1}',
        run + b'{"\\ud800": 1}}',
        run + b'{"uri": "\\ud800"}}',
        run + b'{"' + b"a" * 100_000 + b'": 1}}',
        run + b'{"seed": NaN}}',
        run + b'{"false_positive_rate": 1e400}}',
        run + b'{"false_positive_rate": "nan"}}',
        run + b'{"uri": "a\\u0000b"}}',
        run + b'{"uri": "/' + b"a" * 5_000 + b'"}}',
        b"\xff\xfe",
        b"\x1f\x8b\x08\x00",
    ):
        refused(
            calls.post(RUNS, content=body, headers={"Content-Type": "application/json"}), 400, 422
        )
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", ""):
        refused(calls.post(RUNS, content=b"{}", headers={"Content-Type": kind}), 422)
    assert calls.get(RUNS).json()["total"] == 0


@pytest.mark.parametrize("token", [True, False])
def test_headers_made_to_break_are_refused(client: Calls, *, token: bool) -> None:
    calls = client() if token else client(token=None)
    for origin in ("http://[", "][", "", "null", "http://127.0.0.1:8100.evil"):
        refused(calls.get(RUNS, headers={"Origin": origin}), 403)
    if not token:
        for host in ("[", "[::1", "127.0.0.1@evil", "localhost.evil", "127.0.0.1.evil"):
            refused(calls.get(RUNS, headers={"Host": host}), 403)
    for key in ("a b", "x" * 201, ""):
        refused(calls.post(RUNS, json={"pipeline": "x"}, headers={"Idempotency-Key": key}), 422)


@pytest.mark.parametrize(
    "owner",
    [
        *("tracking_uri", "model_name", "image", "service_account", "destination", "storage"),
        *("hostname", "namespace", "gateway", "runtime", "storage_container", "alerts"),
    ],
)
def test_what_is_the_operators_no_caller_gives(client: Calls, owner: str) -> None:
    for path, body in (
        (RUNS, {"pipeline": "distributed", "arguments": {owner: "x"}}),
        (
            "/v1/studies",
            {"name": "a", "target": "ngram", "trials": 1, "table": "x", "parameters": {owner: "x"}},
        ),
    ):
        assert "not the caller's" in refused(client().post(path, json=body), 400)


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "simplecache::http://host/x",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "file:../x.csv",
        "file:~/x.csv",
        "local:x.csv",
        "s3://mails/2026/..?x",
        "s3://mails/2026/%2e%2e/2025",
        "s3://mails/2026/..\\2025",
        "s3://mails/2026x",
        "s3://mails/2026/../2025",
        "s3://mails/2026/a::http://host",
        "s3://mails@evil/2026/a",
    ],
)
def test_an_address_that_is_not_allowed_is_read_by_nobody(client: Calls, address: str) -> None:
    calls = client(addresses="s3://mails/2026/, https://data.example.org")
    body = {"pipeline": "training", "arguments": {"uri": address}}
    assert "may not read" in refused(calls.post(RUNS, json=body), 400)
    study = {"name": "a", "target": "ngram", "trials": 1, "table": "/x", "base": address}
    assert "may not read" in refused(calls.post("/v1/studies", json=study), 400)


def test_where_runs_are_away_no_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    places = Places(tmp_path, "s3://mails")
    for value in (f"{tmp_path}/own.csv", "/etc/passwd", "./x", "~/x"):
        with pytest.raises(InputError, match="in the cluster see none"):
            places.check({"uri": value}, away=True)
    places.check({"uri": "s3://mails/a.csv", "name": "README.md"}, away=True)


def test_a_table_may_have_an_address_only_where_it_may_be_read() -> None:
    places = Places(None, "s3://mails")
    assert places.table("s3://mails/split.parquet", addresses=True) == "s3://mails/split.parquet"
    with pytest.raises(InputError, match="may not read"):
        places.table("s3://other/split.parquet", addresses=True)
    with pytest.raises(InputError, match="no table"):
        places.table("s3://mails/split.parquet")


def test_what_is_allowed_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    places = Places(tmp_path, "s3://mails/2026/, https://data.example.org")
    for value in (
        "spam-assassin",
        "sentence-transformers/all-MiniLM-L6-v2",
        "s3://mails/2026",
        "s3://mails/2026/a.csv",
        "https://data.example.org/x?y=1",
        f"{tmp_path}/own.csv",
        7,
        True,
    ):
        places.check({"uri": value})
    for value in (f"{tmp_path}/link.csv", f"{tmp_path}/../x", "/etc/passwd", "~/x", "../x", "."):
        with pytest.raises(InputError, match="does not lie in"):
            places.check({"uri": value})
    with pytest.raises(InputError, match="no path"):
        places.check({"uri": "~nobody-of-that-name/x"})
    with pytest.raises(InputError, match="no table"):
        places.table(f"{tmp_path}/{'a' * 300}")
