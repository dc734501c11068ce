"""What KFP prints becomes events and reasons; one run at a time has the folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from pipelines.execution import Event, _Reader, execute
from rampart.errors import PipelineError

# Recorded from KFP 2.17's local runner; its colours are kept where they matter.
RUN = """\
03:22:35.324 - INFO - Running pipeline: \x1b[95m'rampart-training'\x1b[0m
----------------------------------------------------------------
rampart-cached ingest
03:22:40.051 - INFO - Executing task \x1b[96m'clean'\x1b[0m
03:22:40.051 - INFO - Streamed logs:

    [KFP Executor 2026-11-25 03:22:40,158 INFO]: Looking for component `clean`
    rampart-progress {"done": 3, "total": 300}
    rampart-progress {"done": 300, "total": 300}
    [KFP Executor 2026-11-25 03:22:45,486 INFO]: Wrote executor output file to /x/output.json.

03:22:46.086 - INFO - Task \x1b[96m'clean'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
03:22:46.087 - INFO - Task \x1b[96m'clean'\x1b[0m outputs:
    messages: Dataset( name='messages',
"""
FAILURE = """\
03:33:30.100 - INFO - Executing task \x1b[96m'split'\x1b[0m
    Traceback (most recent call last):
      File "/x/rampart/data/splits.py", line 29, in split
        raise DataError(
    rampart.errors.DataError: The validation part holds labels [1], not both. Give more messages.
03:33:34.000 - ERROR - Task \x1b[96m'split'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
Traceback (most recent call last):
  File "/x/kfp/local/pipeline_orchestrator.py", line 190, in raise_or_log_error
RuntimeError: Pipeline 'rampart-training' finished with status FAILURE.
"""
LOG = Path("run.log")


def _read(text: str) -> tuple[_Reader, list[Event]]:
    events: list[Event] = []
    reader = _Reader(events.append)
    for line in text.splitlines(keepends=True):
        reader.read(line)
    return reader, events


def test_a_run_is_told_step_by_step() -> None:
    assert _read(RUN)[1] == [
        Event("cached", "ingest"),
        Event("started", "clean"),
        Event("progress", "clean", 3, 300),
        Event("progress", "clean", 300, 300),
        Event("done", "clean"),
    ]


def test_a_failure_gives_the_steps_own_reason() -> None:
    reader, events = _read(RUN + FAILURE)
    assert events[-1] == Event("failed", "split")
    error = reader.failure(1, LOG)
    assert error.problem == (
        "The step split failed: The validation part holds labels [1], not both. Give more messages."
    )
    assert str(LOG) in error.remedy


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("    ValueError: too odd\nRuntimeError: Pipeline finished\n", "too odd"),
        ("    torch.OutOfMemoryError: no room\n", "no room"),
        ("    Killed\n", "it does not say why"),
    ],
)
def test_an_error_of_another_kind_is_quoted_too(lines: str, said: str) -> None:
    started = "03:33:30.100 - INFO - Executing task 'split'\n"
    reader, _ = _read(RUN + started + lines)
    assert reader.failure(1, LOG).problem == f"The step split failed: {said}"


def test_an_earlier_steps_complaint_is_not_the_reason() -> None:
    reader, _ = _read("    ValueError: caught and mended\n" + FAILURE)
    assert "mended" not in reader.failure(1, LOG).problem


def test_the_reason_is_the_first_failed_steps_though_others_ran_after_it() -> None:
    other = "03:33:35.000 - INFO - Executing task 'combine-2'\n    ValueError: another\n"
    reader, _ = _read(FAILURE + other)
    assert "The step split failed: The validation part" in reader.failure(1, LOG).problem


def test_before_the_first_step_and_by_a_signal_it_says_so() -> None:
    reader, _ = _read("ModuleNotFoundError: No module named 'kfp'\n")
    assert reader.failure(1, LOG).problem == (
        "The step before the first failed: No module named 'kfp'"
    )
    assert "signal 9" in reader.failure(-9, LOG).problem


@given(st.text())
def test_no_line_is_too_odd_to_read(line: str) -> None:
    reader, _ = _read(RUN)
    reader.read(line)
    assert reader.failure(1, LOG).problem


def test_a_second_run_in_the_same_folder_is_refused_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(PipelineError, match=f"Another run uses the folder {tmp_path}"),
    ):
        execute("training", {}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] in ([".lock"], [])
    assert time.monotonic() - begun < 60
