"""One training, by however many processes and in whichever of their ways: the same is learned.

Killed, it goes on from its last checkpoint, by as many processes as there are then.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.launch import restarted, run, trained
from tests.integration.one_or_more import How

pytestmark = pytest.mark.slow


@pytest.fixture
def how(base_encoder: Path, tmp_path: Path) -> How:
    return How(str(base_encoder), str(tmp_path / "network"))


@pytest.fixture
def kept(how: How, tmp_path: Path) -> How:
    """The same, with checkpoints."""
    return replace(how, checkpoints=str(tmp_path / "checkpoints"))


@pytest.fixture(scope="module")
def whole(base_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the training comes to in one process that nobody disturbs."""
    return trained(How(str(base_encoder), str(tmp_path_factory.mktemp("whole")), micro=16))


def _assert_the_same(found: dict[str, Any], whole: dict[str, Any]) -> None:
    assert found["losses"] == pytest.approx(whole["losses"], abs=1e-4)
    # A key's bias changes nothing, and is left with the noise of zero.
    assert found["weights"] == pytest.approx(whole["weights"], rel=1e-3, abs=1e-5)


def _texts(found: dict[str, Any]) -> int:
    return int(sum(rank["texts"] for rank in found["ranks"]))


def _left(step: int) -> int:
    """Texts of what is to be done after a step: an epoch has 100, its seventh step the last 4."""
    epochs, steps = divmod(step, 7)
    return 3 * 100 - 100 * epochs - 16 * steps


@pytest.mark.parametrize("micro", [8, 4], ids=["at once", "in two parts"])
@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_come_to_what_one_comes_to(
    how: How, whole: dict[str, Any], micro: int, sharding: str
) -> None:
    _assert_the_same(trained(replace(how, micro=micro, sharding=sharding), 2), whole)


@pytest.mark.parametrize(
    ("gradients", "sharding"),
    [("float16", "none"), ("bfloat16", "none"), ("powersgd", "none"), ("bfloat16", "fsdp")],
)
def test_gradients_of_fewer_bits_lead_nearly_there(
    how: How, whole: dict[str, Any], gradients: str, sharding: str
) -> None:
    found = trained(replace(how, gradients=gradients, sharding=sharding), 2)
    assert found["losses"] != whole["losses"]
    assert found["losses"] == pytest.approx(whole["losses"], abs=1e-3)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (4, (1, "none"), (2, "none")),
        (8, (1, "none"), (2, "none")),
        (8, (2, "fsdp"), (1, "none")),
        (8, (1, "none"), (2, "fsdp")),
    ],
    ids=[
        "within the first epoch",
        "within the second",
        "sharded until then",
        "sharded from then on",
    ],
)
def test_a_killed_training_goes_on_with_another_number_of_processes(
    kept: How,
    whole: dict[str, Any],
    step: int,
    before: tuple[int, str],
    after: tuple[int, str],
) -> None:
    killed = run(replace(kept, step=step, sharding=before[1]), before[0])
    assert killed.codes[-1] == -signal.SIGKILL
    assert (Path(kept.checkpoints) / f"checkpoint-{step}" / "sums.json").exists()
    found = trained(replace(kept, sharding=after[1]), after[0])
    _assert_the_same(found, whole)
    assert _texts(found) == _left(step)  # none twice


def test_torchrun_takes_a_killed_process_back_and_the_training_ends_as_it_would_have(
    kept: How, whole: dict[str, Any]
) -> None:
    found = restarted(replace(kept, step=4), 2, restarts=1)
    _assert_the_same(found, whole)
    # It was started again, and went on from there.
    assert _texts(found) == _left(4)


def test_a_checkpoint_that_was_broken_off_or_changed_is_not_gone_on_from(
    kept: How, whole: dict[str, Any]
) -> None:
    assert run(replace(kept, step=6, micro=16)).codes == [-signal.SIGKILL]
    folder = Path(kept.checkpoints)
    (folder / "checkpoint-6" / "sums.json").unlink()
    weights = folder / "checkpoint-4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    found = trained(replace(kept, micro=16))
    _assert_the_same(found, whole)
    assert _texts(found) == _left(2)


def test_a_training_that_is_over_is_not_run_again(kept: How, whole: dict[str, Any]) -> None:
    folder = Path(kept.checkpoints)
    first = trained(replace(kept, micro=16))
    state = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = trained(replace(kept, micro=16))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == state
    assert again == first
    _assert_the_same(first, whole)


def test_another_optimizer_or_precision_goes_on_from_no_checkpoint(kept: How) -> None:
    assert run(replace(kept, step=4, micro=16)).codes == [-signal.SIGKILL]
    done = run(replace(kept, micro=16, optimizer="adafactor"))
    assert "are of another training" in done.errors


def test_a_checkpoint_at_the_end_of_an_epoch_has_its_evaluation(
    kept: How, whole: dict[str, Any]
) -> None:
    # Step 14 would be one of every second's, and is the last of the second epoch.
    assert run(replace(kept, epoch=2, micro=16)).codes == [-signal.SIGKILL]
    found = trained(replace(kept, micro=16))
    _assert_the_same(found, whole)
    assert _texts(found) == _left(12)


def test_an_optimizer_that_cannot_be_sharded_is_refused(how: How) -> None:
    done = run(replace(how, sharding="fsdp", optimizer="adafactor"))
    assert "TrainingError: adafactor cannot be sharded" in done.errors
