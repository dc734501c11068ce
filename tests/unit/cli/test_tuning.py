"""`rampart tune`, as a user types it: run, broken off, gone on with, looked at."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rampart.cli.tuning import app
from rampart.data.tables import write_table
from rampart.errors import InputError
from rampart.tuning import studies
from tests.unit.tuning.conftest import split_table

CALL = "from rampart.cli.tuning import app; app()"


class Place:
    """A table, and a storage beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / "split.parquet"
        self.storage = f"sqlite:///{folder}/studies.db"
        write_table(split_table(), self.table)

    def run(self, trials: int) -> list[str]:
        """Arguments of a study whose trials take long enough to be met at work."""
        asked = {"table": self.table, "target": "tabular", "name": "trees", "trials": trials}
        asked |= {"rounds": 120, "folds": 2, "pruner": "none", "workers": 1, "heartbeat": 1}
        return ["run", *(f"--{name}={value}" for name, value in asked.items())]

    def say(self, *arguments: str) -> str:
        """What a command prints to standard output."""
        done = CliRunner().invoke(app, [*arguments, f"--storage={self.storage}"])
        if done.exception:
            raise done.exception
        return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_study_that_was_ended_by_a_signal_goes_on_by_the_same_command(place: Place) -> None:
    call = [sys.executable, "-c", CALL, *place.run(50), f"--storage={place.storage}"]
    with subprocess.Popen(call, stderr=subprocess.PIPE) as process:
        while not any(study.trials.get("complete") for study in studies.summaries(place.storage)):
            assert process.poll() is None
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) != 0
    before = studies.summary(place.storage, "trees")
    assert before.state == "idle"
    assert "running" not in before.trials
    done = before.trials["complete"]
    found = json.loads(place.say(*place.run(done + 1), "--json"))
    assert (found["state"], found["trials"]["complete"]) == ("ended", done + 1)

    assert "trees" in place.say("list")
    assert f"{done + 1} complete" in place.say("show", "trees")
    best = json.loads(place.say("best", "trees", "--json"))
    said = place.say("best", "trees").splitlines()
    assert [line.partition("=")[0] for line in said] == [f"--set {name}" for name in best]
    assert "tuned less default" in place.say("measure", "trees", f"--table={place.table}")
    page = place.folder / "page.html"
    assert place.say("report", "trees", f"--output={page}").strip() == str(page)
    assert "All trials" in page.read_text(encoding="utf-8")
    place.say("stop", "trees")
    assert studies.summary(place.storage, "trees").state == "ended"


def test_what_cannot_be_run_is_refused_before_a_worker_starts(place: Place) -> None:
    with pytest.raises(InputError, match="Neither --trials nor --seconds"):
        place.say("run", f"--table={place.table}", "--target=tabular")
    with pytest.raises(InputError, match="target cannot be 'forest'"):
        place.say("run", f"--table={place.table}", "--target=forest", "--trials=1")
    assert studies.summaries(place.storage) == []
