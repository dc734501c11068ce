"""A real run on this machine: killed half-way, it goes on from what was done and ends whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rampart.bundle.store import verify
from tests.conftest import campaigns

LINE = re.compile(r"^ *(\d+)/21 (.*?) +(done before|done|failed) +[\d.]+ s$")
CALL = "import sys; from rampart.cli import main; sys.argv[0] = 'rampart'; main()"


class Place:
    """The data, the folder and the parameters of the runs."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.root, self.bundle = folder / "root", folder / "out" / "bundle"
        self.data = folder / "data.jsonl"
        rows = [{"text": text, "label": label} for text, label in campaigns(300)]
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.parameters = {
            "encoder_base": base,
            "encoder_tokens": 48,
            "encoder_tail": 12,
            "encoder_epochs": 3,
            "encoder_batch_size": 16,
            "encoder_learning_rate": 0.005,
            "attribution_texts": 20,
        }

    def start(self, log: Path) -> subprocess.Popen[str]:
        call = [sys.executable, "-c", CALL, "pipeline", "run", "training", "--json"]
        call += ["--data", str(self.data), "--root", str(self.root), "--bundle", str(self.bundle)]
        for name, value in self.parameters.items():
            call += ["--set", f"{name}={value}"]
        with log.open("w") as err:
            return subprocess.Popen(
                call, stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True
            )

    def run(self, log: Path) -> tuple[dict[str, object], dict[str, str]]:
        """A whole run; its outputs, and each step's end."""
        with self.start(log) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, log.read_text()
        return json.loads(said), ends(log)


def ends(log: Path) -> dict[str, str]:
    found = [match for line in log.read_text().splitlines() if (match := LINE.match(line))]
    return {match[2]: match[3] for match in found}


def at_work(root: Path) -> list[str]:
    """Processes that have the folder in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(root) in command:
            found.append(command)
    return found


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_killed_run_goes_on_from_what_was_done_and_a_third_changes_nothing(
    base_encoder: Path, tmp_path: Path
) -> None:
    place = Place(tmp_path, base_encoder)

    log = tmp_path / "first.txt"
    with place.start(log) as killed:
        until(lambda: "Train the n-grams" in log.read_text() or killed.poll() is not None)
        assert killed.poll() is None, log.read_text()
        time.sleep(0.5)  # A step is kept just after it was told.
        os.killpg(killed.pid, signal.SIGKILL)
    until(lambda: not at_work(place.root), 30)
    before = ends(log)
    assert len(before) >= 4
    assert set(before.values()) == {"done"}
    assert not place.bundle.parent.exists()

    outputs, second = place.run(tmp_path / "second.txt")
    assert len(second) == 21
    assert {name for name, end in second.items() if end == "done before"} >= set(before)
    manifest = verify(place.bundle)
    assert outputs["bundle"] == str(place.bundle)
    assert (outputs["version"], outputs["alias"]) == (1, "champion")
    assert [path.name for path in place.bundle.parent.iterdir()] == ["bundle"]

    again, third = place.run(tmp_path / "third.txt")
    assert {name for name, end in third.items() if end != "done before"} == {
        "Compare with the champion",
        "Register",
    }
    assert len(third) == 21
    assert verify(place.bundle).id == manifest.id
    assert again["version"] == 1
    assert not at_work(place.root)


def test_a_failed_step_says_why_in_one_line(base_encoder: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, base_encoder)
    place.data.write_text('{"text": "no label", "label": "perhaps"}\n', encoding="utf-8")
    log = tmp_path / "log.txt"
    with place.start(log) as process:
        said, _ = process.communicate()
    assert process.returncode == 9
    assert said == ""
    *_, last = log.read_text().splitlines()
    assert last.startswith("error: The step ingest failed: ")
    assert last.endswith(f"The log is {place.root / 'run.log'}.")
    assert ends(log) == {"Fetch and read the mails": "failed"}
    assert not (place.root / "outputs.json").exists()
