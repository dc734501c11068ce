"""A training on this machine as the component runs it: its processes, its errors, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.training import Place, train
from rampart.bundle.store import read_manifest
from rampart.data.sharding import writing
from rampart.data.tables import read_table
from rampart.errors import JobError
from tests.conftest import split_table

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split_table(tmp_path_factory.mktemp("table") / "split.parquet")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rampart" / "training"


def _options(base: Path) -> list[str]:
    options = [f"--base={base}", "--tokens=32", "--tail=8", "--layers=1", "--epochs=2"]
    return [*options, "--learning-rate=5e-3", "--batch-size=16", "--attribution-texts=0"]


def test_two_processes_leave_a_bundle_and_how_quick_each_was_and_nothing_else(
    table: Path, base_encoder: Path, cache: Path, tmp_path: Path
) -> None:
    # In shards, which are told from others by what their manifest says.
    rows = pa.Table.from_pandas(read_table(table), preserve_index=False)
    with writing(tmp_path / "shards", rows.schema, rows=100) as writer:
        writer.write(rows)
    lines: list[str] = []
    place = Place(where="here", processes=2)
    report = train(
        tmp_path / "shards", tmp_path / "bundle", _options(base_encoder), place, lines.append
    )
    assert read_manifest(tmp_path / "bundle").parameters["processes"] == "2"
    assert [one["rank"] for one in report["ranks"]] == [0, 1]
    assert all(one["texts_a_second"] > 0 for one in report["ranks"])
    assert all(0 < one["waited"] < 1 for one in report["ranks"])
    assert any(line.startswith("process 1: ") for line in lines)
    assert list(cache.iterdir()) == []


def test_a_training_that_fails_says_why_and_leaves_no_bundle(
    table: Path, base_encoder: Path, cache: Path, tmp_path: Path
) -> None:
    place = Place(where="here", processes=2, restarts=0)
    wrong = [*_options(base_encoder)[:-2], "--batch-size=15", "--attribution-texts=0"]
    with pytest.raises(JobError, match="A batch of 15 cannot be shared evenly by 2 processes"):
        train(table, tmp_path / "bundle", wrong, place, lambda _: None)
    assert not (tmp_path / "bundle").exists()


def test_a_training_that_is_stopped_ends_its_processes(
    table: Path, base_encoder: Path, cache: Path, tmp_path: Path
) -> None:
    program = (
        "import signal, sys; from pathlib import Path; from jobs.training import Place, train\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"train(Path({str(table)!r}), Path({str(tmp_path / 'bundle')!r}), "
        f"{[*_options(base_encoder), '--epochs=500']!r}, Place(processes=2), "
        "lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        start_new_session=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Train the encoder: "):
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    deadline = time.monotonic() + 30
    while _members(process.pid):
        assert time.monotonic() < deadline, "processes of the training are left"
        time.sleep(0.1)


def _members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found
