"""`rampart pipeline` takes parameters by name and says what is wrong with them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from rampart.cli.pipeline import parameters_of
from rampart.errors import InputError
from tests.unit.cli.conftest import Command


def test_describe_lists_each_parameter_with_its_default(rampart: Command) -> None:
    said = rampart("pipeline", "describe", "training")
    [row] = [line for line in said.out.splitlines() if line.startswith("encoder_tokens")]
    assert "128" in row
    assert "tokens in the encoder's window" in row
    document = rampart("pipeline", "describe", "training", "--json").document
    [seed] = [each for each in document if each["name"] == "seed"]
    assert (seed["type"], seed["default"]) == ("Integer", 0)


def test_compile_writes_what_kubeflow_takes(rampart: Command, tmp_path: Path) -> None:
    target = tmp_path / "new" / "training.yaml"
    said = rampart("pipeline", "compile", "training", "--output", target)
    assert said.out.strip() == str(target)
    spec = next(yaml.safe_load_all(target.read_text(encoding="utf-8")))
    assert spec["pipelineInfo"]["name"] == "rampart-training"


def test_compile_has_a_place_of_its_own(
    rampart: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert rampart("pipeline", "compile", "training").out.strip() == "build/pipelines/training.yaml"
    assert (tmp_path / "build/pipelines/training.yaml").is_file()


def test_compile_names_a_file_that_cannot_be_written(rampart: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target in (tmp_path / "file" / "training.yaml", tmp_path / "training.txt"):
        said = rampart("pipeline", "compile", "training", "--output", target)
        assert said.code == 9
        assert str(target) in said.err


@pytest.mark.parametrize("command", ["describe", "compile", "run", "submit"])
def test_an_unknown_pipeline_is_answered_with_those_there_are(
    rampart: Command, command: str, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    more = {
        "run": ("--data", data, "--root", tmp_path / "root"),
        "submit": ("--data", data, "--endpoint", "http://127.0.0.1:9"),
    }.get(command, ())
    said = rampart("pipeline", command, "nonsense", *more)
    assert said.code == 9
    assert said.err.count("\n") == 1
    assert "'nonsense'" in said.err
    assert "training" in said.err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("encoder_epochs", 3, "'encoder_epochs' has no value"),
        ("encoder_epoch=3", 9, "no parameter 'encoder_epoch'"),
        ("encoder_epochs=many", 9, "encoder_epochs is 'many', not a whole number"),
        ("time_split=perhaps", 9, "time_split is 'perhaps', not true or false"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(
    rampart: Command, tmp_path: Path, given: str, code: int, said: str
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    root = tmp_path / "root"
    result = rampart("pipeline", "run", "training", "--data", data, "--root", root, "--set", given)
    assert result.code == code
    assert said in result.err
    assert not root.exists()


def test_a_root_that_cannot_be_made_is_named(rampart: Command, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    result = rampart("pipeline", "run", "training", "--data", data, "--root", data / "inside")
    assert result.code == 9
    assert "cannot be made" in result.err


def test_values_may_hold_further_signs() -> None:
    assert parameters_of(["tracking_uri=sqlite:///a?b=c", " seed = 1"]) == {
        "tracking_uri": "sqlite:///a?b=c",
        "seed": " 1",
    }
    assert parameters_of(None) == {}
    with pytest.raises(InputError, match="no value"):
        parameters_of(["seed"])


def test_submit_asks_for_an_address(rampart: Command) -> None:
    said = rampart("pipeline", "submit", "training")
    assert said.code == 3
    assert "RAMPART_KFP_ENDPOINT" in said.err


def test_submit_says_when_nobody_answers(rampart: Command) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody can answer there.
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = rampart("pipeline", "submit", "training", "--endpoint", address, "--namespace", "a")
    assert said.code == 9
    assert f"{address} does not answer" in said.err
    assert said.err.count("\n") == 1


def test_a_folder_that_is_no_bundle_is_refused_before_anything_runs(
    rampart: Command, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n", encoding="utf-8")
    (tmp_path / "holidays").mkdir()
    (tmp_path / "holidays" / "beach.jpg").write_bytes(b"sand")
    root = tmp_path / "root"
    said = rampart(
        *("pipeline", "run", "training", "--data", data),
        *("--root", root, "--bundle", tmp_path / "holidays"),
    )
    assert said.code == 7
    assert "is not a bundle" in said.err
    assert not root.exists()
