"""Where a training runs, and that two of the same do not run into each other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs import training
from jobs.training import Place, train
from rampart.errors import InputError


def test_a_place_that_cannot_be_says_what_is_wrong() -> None:
    with pytest.raises(InputError, match="A training's where cannot be 'there'"):
        Place.of(where="there")


def test_of_two_that_are_the_same_one_waits_for_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "user_cache", lambda: tmp_path / "cache")
    # What is trained is tests/integration's.
    monkeypatch.setattr(training, "read_manifest", lambda _: None)
    table = tmp_path / "table.parquet"
    table.write_text("rows")
    running: list[str] = []
    begun, goes_on = threading.Event(), threading.Event()

    def run_here(arguments: Sequence[str], *_: Any, **__: Any) -> None:
        running.append("begins")
        begun.set()
        assert goes_on.wait(60)
        given = dict(one.removeprefix("--").split("=") for one in arguments)
        (Path(given["bundle"]) / "model").mkdir(parents=True)
        Path(given["report"]).write_text("{}")
        running.append("ends")

    monkeypatch.setattr(training, "run_here", run_here)
    waits = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(train, table, tmp_path / "one", [], Place(), print)
        assert begun.wait(60)
        second = pool.submit(train, table, tmp_path / "two", [], Place(), lambda _: waits.set())
        assert waits.wait(60)
        goes_on.set()
        assert first.result() == second.result() == {}
    assert running == ["begins", "ends"] * 2
    assert (tmp_path / "one" / "model").is_dir()
    assert (tmp_path / "two" / "model").is_dir()
