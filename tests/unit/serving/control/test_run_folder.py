"""A run's folder tells what became of its process, whatever that was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rampart.errors import InputError, UnknownModelError
from serving.control.refusal import ConflictError
from serving.control.runs.base import Order, run_id
from serving.control.runs.folder import RunFolder
from serving.control.runs.local import LocalRuns

_HOLD = """
import sys, time
from pathlib import Path
from serving.control.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).held() as first:
    print(first, flush=True)
    time.sleep(60)
"""


def order(key: str = "k", digest: str = "d") -> Order:
    return Order(
        id=run_id("me", "pipeline", key),
        kind="pipeline",
        name="training",
        arguments={"seed": 1},
        caller="me",
        digest=digest,
        created=datetime.now(UTC),
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "order.json").write_text(order().model_dump_json())
    return RunFolder(tmp_path)


@contextmanager
def holder(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    call = [sys.executable, "-c", _HOLD, str(folder.path)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_what_nobody_has_begun_is_pending(folder: RunFolder) -> None:
    assert not folder.begun
    assert folder.run().state == "pending"
    assert folder.run().arguments == {"seed": 1}


def test_a_killed_process_has_failed_and_is_told_how_to_go_on(folder: RunFolder) -> None:
    with holder(folder) as process:
        assert folder.run().state == "pending"
        folder.tell_line("It began.")
        assert folder.run().state == "running"
        # A second process of the run does not wait for the first one's end.
        with folder.held() as first:
            assert not first
        process.kill()
        process.wait()
        run = folder.run()
    assert run.state == "failed"
    assert run.problem == "Its process was killed, or the machine went down."
    assert run.remedy is not None
    with folder.held() as first:
        assert not first


def test_a_stop_reaches_the_process_and_no_other(folder: RunFolder) -> None:
    with holder(folder) as process:
        folder.stop()
        assert process.wait(30) == -signal.SIGTERM
    assert folder.run().state == "stopped"


def test_a_number_that_another_process_has_by_now_is_not_believed(folder: RunFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        (folder.path / "process").write_text(str(other.pid))
        assert not folder.alive()
        assert folder.run().state == "failed"
        folder.stop()
        time.sleep(0.2)
        assert other.poll() is None
        other.kill()


def test_a_run_told_to_stop_before_it_begins_is_stopped(folder: RunFolder) -> None:
    folder.stop()
    assert folder.run().state == "stopped"


def test_a_result_is_kept_whole(folder: RunFolder) -> None:
    folder.tell("step", name="clean", state="started", done=0, total=0)
    folder.tell("step", name="clean", state="done", done=0, total=0)
    folder.end("succeeded", outputs={"version": 3})
    run = folder.run()
    assert (run.state, run.outputs) == ("succeeded", {"version": 3})
    assert [(step.name, step.state) for step in run.steps] == [("clean", "done")]
    assert run.ended is not None


def test_a_history_goes_on_after_any_of_its_places(folder: RunFolder) -> None:
    assert folder.happenings("") == []
    for number in range(5):
        folder.tell_line(f"line {number}\N{SNOWMAN}")
    whole = folder.happenings("")
    assert [each.data["line"][5] for each in whole] == list("01234")
    for number, each in enumerate(whole):
        assert folder.happenings(each.id) == whole[number + 1 :]
    # A line that is not whole yet is told when it is.
    with (folder.path / "events.jsonl").open("a") as file:
        file.write('{"kind": "log", ')
        file.flush()
        assert folder.happenings(whole[-1].id) == []
        file.write('"data": {"line": "late"}}\n')
    assert [each.data for each in folder.happenings(whole[-1].id)] == [{"line": "late"}]


@pytest.mark.parametrize("wrong", ["1", "99999", "-1", "a", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 30])
def test_a_place_that_is_none_is_refused(folder: RunFolder, wrong: str) -> None:
    folder.tell_line("one")
    with pytest.raises(InputError, match="is no place"):
        folder.happenings(wrong)


def test_a_long_line_is_cut(folder: RunFolder) -> None:
    folder.tell_line("x" * 100_000)
    assert len(folder.happenings("")[0].data["line"]) == 4_000


def test_a_key_belongs_to_one_order_of_one_caller() -> None:
    assert run_id("me", "pipeline", "k") == run_id("me", "pipeline", "k")
    others = [("you", "pipeline", "k"), ("me", "study", "k"), ("me", "pipeline", "l")]
    assert len({run_id(*other) for other in [*others, ("me", "pipeline", "k")]}) == 4
    assert run_id("me", "pipeline", None) != run_id("me", "pipeline", None)


def test_an_order_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = LocalRuns(tmp_path)
    begun: list[Path] = []
    monkeypatch.setattr(LocalRuns, "_begin", lambda _, folder: begun.append(folder.path))
    assert runs.known(order()) is None
    first = runs.start(order())
    assert runs.start(order()).created == first.created
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        runs.start(order(digest="other"))
    assert [run.id for run in runs.listed()] == [first.id]
    assert not [path for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")]


def test_what_is_no_run_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "runs" / "other").mkdir(parents=True)
    runs = LocalRuns(tmp_path)
    assert runs.listed() == []
    for name in ("other", "..", "r" + "0" * 24):
        with pytest.raises(UnknownModelError, match="There is no run"):
            runs.get(name)


def test_a_process_that_dies_before_it_has_the_run_leaves_a_failed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    runs = LocalRuns(tmp_path)
    run = runs.start(order())
    deadline = time.monotonic() + 60
    while (run := runs.get(run.id)).state == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (run.state, run.problem) == ("failed", "Its process ended with 7 before it began.")
    # Asked for again with the same key it is the same run, and is not started again.
    monkeypatch.undo()
    assert runs.start(order()).state == "failed"
    assert not (tmp_path / "runs" / run.id / "process").exists()
    assert runs.going() == []


def test_a_damaged_run_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalRuns, "_begin", lambda *_: None)
    runs = LocalRuns(tmp_path)
    damaged, cut, whole = (runs.start(order(key)) for key in ("a", "b", "c"))
    (tmp_path / "runs" / damaged.id / "order.json").write_text('{"id": ')
    (tmp_path / "runs" / cut.id / "result.json").write_text('{"state": ')
    runs.adopt()
    listed = {run.id: run for run in runs.listed()}
    assert set(listed) == {cut.id, whole.id}
    assert listed[cut.id].state == "failed"
    assert "cannot be read" in (listed[cut.id].problem or "")
    assert [run.id for run in runs.going()] == [whole.id]


def test_what_was_taken_and_not_begun_is_begun_by_the_next_and_says_why_it_failed(
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(LocalRuns, "_begin", lambda *_: None)
        started = LocalRuns(tmp_path).start(order().model_copy(update={"name": "cooking"}))
    runs = LocalRuns(tmp_path)
    assert runs.going() == [started]
    runs.adopt()
    deadline = time.monotonic() + 60
    while runs.get(started.id).state in ("pending", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run = runs.get(started.id)
    assert run.state == "failed"
    assert "cooking" in (run.problem or "")
    assert runs.going() == []
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [started.id]
