"""A bundle written for another server is the bundle, checked, and what the server is told."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from rampart.bundle.export import RUNTIME, export
from rampart.bundle.store import read_manifest, verify
from rampart.errors import BundleError, InputError


def test_mlserver_is_told_the_runtime_and_where_the_bundle_is(bundle: Path, tmp_path: Path) -> None:
    folder = export(bundle, tmp_path / "models" / "mail", "mlserver", name="mail")
    settings = json.loads((folder / "model-settings.json").read_text())
    assert settings["name"] == "mail"
    assert settings["implementation"] == RUNTIME
    assert verify(folder / settings["parameters"]["uri"]) == read_manifest(bundle)
    assert [path.name for path in folder.parent.iterdir()] == ["mail"]


def test_the_runtime_is_where_it_is_said_to_be() -> None:
    module, _, name = RUNTIME.rpartition(".")
    source = Path(import_module("serving").__path__[0]) / f"{module.partition('.')[2]}.py"
    # Importing it needs MLServer, which no environment of ours but its own has.
    assert f"class {name}(MLModel)" in source.read_text(encoding="utf-8")


def test_what_is_there_already_is_not_touched(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="mine is there already"):
        export(bundle, tmp_path / "mine", "mlserver")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_format_that_there_is_not_and_a_broken_bundle_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'savedmodel'"):
        export(tmp_path, tmp_path / "out", "savedmodel")
    with pytest.raises(BundleError):
        export(tmp_path / "none", tmp_path / "out", "mlserver")
    assert not list(tmp_path.iterdir())
