"""A training that is killed goes on from its last checkpoint, by as many processes as there are."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.launch import Trains
from tests.integration.launch import found as _found

pytestmark = pytest.mark.slow


@pytest.fixture
def trains(base_encoder: Path, tmp_path: Path) -> Trains:
    return Trains(base_encoder, tmp_path)


@pytest.fixture(scope="module")
def whole(base_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the training comes to where nobody disturbs it."""
    return _found(Trains(base_encoder, tmp_path_factory.mktemp("whole"))(1, micro=16))


def _assert_the_same(found: dict[str, Any], whole: dict[str, Any]) -> None:
    assert found["losses"] == pytest.approx(whole["losses"], abs=1e-4)
    assert found["weights"] == pytest.approx(whole["weights"], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("step", [4, 8], ids=["within the first epoch", "within the second"])
def test_a_killed_training_goes_on_with_another_number_of_processes(
    trains: Trains, whole: dict[str, Any], tmp_path: Path, step: int
) -> None:
    kept = tmp_path / "checkpoints"
    killed = trains(1, str(kept), str(step))
    assert killed.returncode == -signal.SIGKILL
    assert (kept / f"checkpoint-{step}" / "sums.json").exists()
    found = _found(trains(2, str(kept)))
    _assert_the_same(found, whole)
    assert sum(rank["texts"] for rank in found["ranks"]) == 3 * 96 - 16 * step  # none twice


def test_torchrun_takes_a_killed_process_back_and_the_training_ends_as_it_would_have(
    trains: Trains, whole: dict[str, Any], tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoints"
    _assert_the_same(_found(trains(2, str(kept), "4", restarts=1)), whole)


def test_a_checkpoint_that_was_broken_off_or_changed_is_not_gone_on_from(
    trains: Trains, whole: dict[str, Any], tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoints"
    assert trains(1, str(kept), "6", micro=16).returncode == -signal.SIGKILL
    (kept / "checkpoint-6" / "sums.json").unlink()
    weights = kept / "checkpoint-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    found = _found(trains(1, str(kept), micro=16))
    _assert_the_same(found, whole)
    assert sum(rank["texts"] for rank in found["ranks"]) == 3 * 96 - 16 * 2


def test_a_training_that_is_over_is_not_run_again(
    trains: Trains, whole: dict[str, Any], tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoints"
    first = _found(trains(1, str(kept), micro=16))
    state = {path: path.stat().st_mtime_ns for path in kept.rglob("*")}
    again = _found(trains(1, str(kept), micro=16))
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*")} == state
    assert again == first
    _assert_the_same(first, whole)
