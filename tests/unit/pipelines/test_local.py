"""A run says what it finds in its cache, and ends with whoever started it, even if killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kfp.local.cache import LocalCache

from pipelines.local import _tell_cached


def test_a_process_ends_for_good_when_its_standard_input_does() -> None:
    code = (
        "import subprocess, sys, time\n"
        "from pipelines.local import end_with_standard_input\n"
        "end_with_standard_input()\n"
        "step = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(step.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        time.sleep(0.2)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == -signal.SIGKILL
        # The step held the other end of this pipe: it is gone as well.
        assert process.stdout.read() == ""


def test_a_step_found_in_the_cache_is_told_by_its_own_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalCache(str(tmp_path))
    _tell_cached(store)
    given = {"image": "i", "full_command": ["c"], "arguments": {"seed": 1}}
    keys = [
        store.compute_key(component_name=f"comp-{name}", **given)
        for name in ("train-ngram", "train-ngram-2")
    ]
    store.put(keys[1], {"Output": 7})
    assert [store.get(key) for key in keys] == [None, {"Output": 7}]
    assert capsys.readouterr().out == "rampart-cached train-ngram-2\n"
