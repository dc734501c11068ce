"""Which of several processes this is, and what they share."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rampart.errors import TrainingError
from rampart.training.ranks import Ranks


def _said(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_without_a_launcher_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _said(monkeypatch)
    assert Ranks.of_environment() == Ranks(rank=0, count=1, local=0)
    assert Ranks().first


def test_a_launcher_says_which_of_several_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _said(monkeypatch, RANK="3", WORLD_SIZE="4", LOCAL_RANK="1")
    assert Ranks.of_environment() == Ranks(rank=3, count=4, local=1)
    assert not Ranks.of_environment().first


@pytest.mark.parametrize(("rank", "count"), [("one", "2"), ("2", "2"), ("-1", "2"), ("0", "0")])
def test_what_makes_no_sense_is_said(
    monkeypatch: pytest.MonkeyPatch, rank: str, count: str
) -> None:
    _said(monkeypatch, RANK=rank, WORLD_SIZE=count)
    with pytest.raises(TrainingError, match="torchrun"):
        Ranks.of_environment()


def test_a_step_stays_what_it_is_for_one_process() -> None:
    assert Ranks(count=4).share(32) == 8
    with pytest.raises(TrainingError, match="multiple of 3"):
        Ranks(count=3).share(32)


def test_processes_of_one_machine_share_a_folder_that_goes_with_the_first_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rampart.training.ranks.gettempdir", lambda: str(tmp_path))
    with (
        Ranks(rank=0, count=2, local=0).scratch("x-") as own,
        Ranks(rank=1, count=2, local=1).scratch("x-") as other,
    ):
        assert own == other
        (own / "file").touch()
    assert not own.exists()


def test_processes_of_one_machine_wait_for_each_other(tmp_path: Path) -> None:
    order: list[str] = []

    def late() -> None:
        time.sleep(0.2)
        order.append("the other has come")
        Ranks(rank=1, count=2, local=1, local_count=2).meet(tmp_path, "here")

    other = threading.Thread(target=late)
    other.start()
    Ranks(rank=0, count=2, local=0, local_count=2).meet(tmp_path, "here")
    order.append("the first goes on")
    other.join()
    assert order == ["the other has come", "the first goes on"]


def test_a_process_that_is_alone_on_its_machine_waits_for_nobody(tmp_path: Path) -> None:
    Ranks(rank=1, count=2, local=0).meet(tmp_path, "here")
    assert list(tmp_path.iterdir()) == []
