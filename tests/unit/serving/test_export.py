"""A bundle written for another server is the bundle, checked, and what the server is told."""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from rampart.bundle.store import read_manifest, verify
from rampart.errors import BundleError, InputError
from rampart.models.encoder import EncoderModel
from serving.export import (
    MLSERVER_RUNTIME,
    TORCHSERVE_HANDLER,
    TRITON_MODEL,
    Export,
    export,
)


def test_mlserver_is_told_the_runtime_and_where_the_bundle_is(bundle: Path, tmp_path: Path) -> None:
    folder = export(Export(bundle, "mail"), tmp_path / "models" / "mail", "mlserver")
    settings = json.loads((folder / "model-settings.json").read_text())
    assert settings["name"] == "mail"
    assert settings["implementation"] == MLSERVER_RUNTIME
    assert verify(folder / settings["parameters"]["uri"]) == read_manifest(bundle)
    assert [path.name for path in folder.parent.iterdir()] == ["mail"]


def test_the_runtime_is_where_it_is_said_to_be() -> None:
    module, _, name = MLSERVER_RUNTIME.rpartition(".")
    source = Path(import_module("serving").__path__[0]) / f"{module.partition('.')[2]}.py"
    # Importing it needs MLServer, which no environment of ours but its own has.
    assert f"class {name}(MLModel)" in source.read_text(encoding="utf-8")


def test_what_is_there_already_is_not_touched(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="mine is there already"):
        export(Export(bundle), tmp_path / "mine", "mlserver")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_format_that_there_is_not_and_a_broken_bundle_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'savedmodel'"):
        export(Export(tmp_path), tmp_path / "out", "savedmodel")
    with pytest.raises(BundleError):
        export(Export(tmp_path / "none"), tmp_path / "out", "mlserver")
    assert not list(tmp_path.iterdir())


def test_torchserves_archive_holds_the_bundle_and_the_script_and_comes_out_the_same(
    bundle: Path, trained_models: dict[str, Path], tmp_path: Path
) -> None:
    network = trained_models["encoder"].with_name("trained")
    asked = Export(bundle, "mail", {"encoder": network})
    archives = [
        export(asked, tmp_path / name, "torchserve") / "mail.mar" for name in ("one", "two")
    ]
    with zipfile.ZipFile(archives[0]) as archive:
        names = archive.namelist()
        model = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
        handler = archive.read(model["handler"]).decode()
        archive.extractall(tmp_path / "inside")
    assert model["modelName"] == "mail"
    assert handler.split()[1] == TORCHSERVE_HANDLER
    assert "scripts/encoder.pt" in names
    assert verify(tmp_path / "inside" / "bundle") == read_manifest(bundle)
    assert [path.name for path in sorted(archives[0].parent.iterdir())] == [
        "config.properties",
        "mail.mar",
    ]
    told = (archives[0].parent / "config.properties").read_text()
    assert '"marName": "mail.mar"' in told
    same = [{one.filename: one.CRC for one in zipfile.ZipFile(path).infolist()
             if not one.filename.endswith(".pt")} for path in archives]  # fmt: skip
    assert same[0] == same[1]


def test_a_network_that_is_none_or_belongs_to_nothing_is_named(
    bundle: Path, trained_models: dict[str, Path], tmp_path: Path
) -> None:
    network = trained_models["encoder"].with_name("trained")
    with pytest.raises(InputError, match=r"no encoder 'ngram'.*encoders are encoder"):
        export(Export(bundle, networks={"ngram": network}), tmp_path / "out", "torchserve")
    with pytest.raises(InputError, match="holds no trained encoder"):
        export(Export(bundle, networks={"encoder": tmp_path}), tmp_path / "out", "torchserve")
    with pytest.raises(InputError, match="Only TorchServe"):
        export(Export(bundle, networks={"encoder": network}), tmp_path / "out", "triton")
    assert not list(tmp_path.iterdir())


def model_config():
    """Triton's own message, by its file: the package around it clashes with KServe's messages."""
    [package] = find_spec("tritonclient").submodule_search_locations
    path = Path(package) / "grpc" / "model_config_pb2.py"
    spec = spec_from_file_location("tritons_model_config", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ModelConfig()


def test_tritons_configurations_say_what_the_models_take_and_give(
    bundle: Path, tmp_path: Path
) -> None:
    from google.protobuf import text_format

    models = export(Export(bundle, "mail"), tmp_path / "models", "triton")
    read = {
        folder.name: text_format.Parse((folder / "config.pbtxt").read_text(), model_config())
        for folder in models.iterdir()
    }
    own, encoder = read["mail"], read["mail_encoder"]
    assert (own.name, own.backend, own.max_batch_size) == ("mail", "python", 0)
    assert own.parameters["encoder"].string_value == encoder.name == "mail_encoder"
    assert [(one.name, one.optional) for one in own.input] == [("text", False), ("id", True)]
    assert [list(one.dims) for one in own.output if one.name == "span"] == [[-1, -1, 2]]
    session = EncoderModel.load(bundle / "encoder").session
    assert [one.name for one in encoder.input] == [one.name for one in session.get_inputs()]
    assert {one.name for one in encoder.output} <= {one.name for one in session.get_outputs()}
    assert (models / "mail_encoder" / "1" / "model.onnx").read_bytes() == (
        bundle / "encoder" / "model.onnx"
    ).read_bytes()
    assert verify(models / "mail" / "1" / "bundle") == read_manifest(bundle)
    assert TRITON_MODEL in (models / "mail" / "1" / "model.py").read_text()
