"""A bundle as other servers want their models: copied, checked, with what they have to be told."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rampart.bundle.manifest import Manifest, ModelEntry
from rampart.bundle.store import copy
from rampart.errors import InputError
from rampart.models.encoder import (
    ATTRIBUTIONS,
    CONFIG_FILE,
    LEARNED,
    ONNX_FILE,
    TERMS,
    TOKENIZER_FILE,
    EncoderConfig,
    EncoderModel,
)
from serving.predictor.codec.answer import INPUTS, OUTPUTS, Signature

MLSERVER_RUNTIME = "serving.mlserver_runtime.RampartRuntime"
"""The class that MLServer loads; installed with Rampart, and free of torch."""

TORCHSERVE_HANDLER = "serving.torchserve_handler"
"""What TorchServe calls; installed with Rampart."""

TRITON_MODEL = "serving.triton_model"
"""What Triton's Python backend loads; installed with Rampart."""

BUNDLE, SCRIPTS = "bundle", "scripts"
"""Folders in what is written: the bundle, and TorchScript by the names of its models."""

ARCHIVE_MANIFEST = "MAR-INF/MANIFEST.json"
# TorchServe waits so many ms for so many requests, and so many seconds for an answer.
_BATCH, _DELAY, _PATIENCE = 16, 10, 120
# The same bundle makes the same archive.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_TRITON_TYPES = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32", "INT64": "TYPE_INT64"}


@dataclass(frozen=True)
class Export:
    """What is written.

    Attributes:
        bundle: to export.
        name: of the model there.
        networks: folders of trained networks by the name of their model in the bundle; TorchServe
            runs these as TorchScript, in float.
    """

    bundle: Path
    name: str = "rampart"
    networks: Mapping[str, Path] = field(default_factory=dict)


def export(asked: Export, folder: Path, form: str) -> Path:
    """Write a bundle for another server.

    Args:
        asked: what is written.
        folder: that is made; refused where something is there already.
        form: one of `FORMATS`.

    Returns:
        The folder.

    Raises:
        InputError: there is no such format or no such encoder, or something is in the way.
        BundleError: the bundle is broken.
        TrainingError: a network is not the one that the bundle's encoder was exported from.
    """
    if form not in FORMATS:
        raise InputError(f"There is no format {form!r}.", f"The formats are {', '.join(FORMATS)}.")
    if asked.networks and form != "torchserve":
        raise InputError("Only TorchServe runs a network as TorchScript.", "Leave it away.")
    if folder.exists():
        raise InputError(f"{folder} is there already.", "Name a folder that is not.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        place = Path(work) / "model"
        place.mkdir()
        FORMATS[form](asked, place)
        shutil.move(place, folder)
    return folder


def _mlserver(asked: Export, place: Path) -> None:
    copy(asked.bundle, place / BUNDLE)
    settings = {
        "name": asked.name,
        "implementation": MLSERVER_RUNTIME,
        "parameters": {"uri": f"./{BUNDLE}"},
    }
    _write(place / "model-settings.json", settings)


def _torchserve(asked: Export, place: Path) -> None:
    """An archive, and the settings that gather requests for it."""
    inside = place / "inside"
    manifest = copy(asked.bundle, inside / BUNDLE)
    encoders = {entry.name: entry for entry in _encoders(manifest)}
    for name, network in asked.networks.items():
        if name not in encoders:
            raise InputError(
                f"The bundle has no encoder {name!r}.",
                f"Its encoders are {', '.join(encoders) or 'none'}.",
            )
        _script(network, inside / BUNDLE / encoders[name].folder, inside / SCRIPTS / f"{name}.pt")
    _write(inside / ARCHIVE_MANIFEST, archive_manifest(asked.name))
    (inside / "handler.py").write_text(f"from {TORCHSERVE_HANDLER} import handle\n", "utf-8")
    with zipfile.ZipFile(place / f"{asked.name}.mar", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in inside.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(inside)), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)
    shutil.rmtree(inside)
    (place / "config.properties").write_text(archive_settings(asked.name), encoding="utf-8")


def archive_manifest(name: str) -> dict[str, object]:
    """What an archive for TorchServe says of its model, whose handler is handler.py."""
    return {
        "runtime": "python",
        "model": {"modelName": name, "handler": "handler.py", "modelVersion": "1.0"},
        "archiverVersion": "0.12.0",
    }


def archive_settings(name: str) -> str:
    """TorchServe's settings for an archive NAME.mar: one worker, and requests gathered for it."""
    version = {
        "defaultVersion": True,
        "marName": f"{name}.mar",
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": _BATCH,
        "maxBatchDelay": _DELAY,
        "responseTimeout": _PATIENCE,
    }
    models = json.dumps({name: {"1.0": version}})
    return f"load_models={name}.mar\nmodels={models}\n"


def _script(network: Path, served: Path, path: Path) -> None:
    # The one thing here that needs torch.
    from rampart.compression.costs import TORCHSCRIPT_FILE
    from rampart.compression.torchscript import export_torchscript

    if not (network / TOKENIZER_FILE).exists():
        raise InputError(
            f"{network} holds no trained encoder.",
            "Name the folder that the pipeline's step train-attribution wrote.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        export_torchscript(network, served, Path(scratch))
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(Path(scratch) / TORCHSCRIPT_FILE, path)


def _triton(asked: Export, place: Path) -> None:
    """A model repository: the bundle's model, and one for each encoder."""
    version = place / asked.name / "1"
    manifest = copy(asked.bundle, version / BUNDLE)
    (version / "model.py").write_text(
        f"from {TRITON_MODEL} import TritonPythonModel\n\n__all__ = ['TritonPythonModel']\n",
        encoding="utf-8",
    )
    parameters = ""
    for entry in _encoders(manifest):
        own = f"{asked.name}_{entry.name}"
        folder = place / own / "1"
        folder.mkdir(parents=True)
        shutil.copyfile(version / BUNDLE / entry.folder / ONNX_FILE, folder / ONNX_FILE)
        config = EncoderConfig.model_validate_json(
            (version / BUNDLE / entry.folder / CONFIG_FILE).read_bytes()
        )
        outputs = [TERMS, ATTRIBUTIONS] if config.method == LEARNED else [TERMS]
        _configure(
            place / own,
            "onnxruntime",
            [Signature(name, "INT64", (-1, -1)) for name in ("input_ids", "attention_mask")],
            [Signature(name, "FP32", (-1, -1)) for name in outputs],
        )
        parameters += (
            f'parameters {{\n  key: "{entry.name}"\n  value {{ string_value: "{own}" }}\n}}\n'
        )
    _configure(place / asked.name, "python", INPUTS, OUTPUTS, parameters)


def _configure(
    folder: Path,
    backend: str,
    inputs: Sequence[Signature],
    outputs: Sequence[Signature],
    more: str = "",
) -> None:
    """Write config.pbtxt: shapes as the protocol has them, so Triton adds no batch to them."""
    told = f'name: "{folder.name}"\nbackend: "{backend}"\nmax_batch_size: 0\n'
    for field_name, signatures in (("input", inputs), ("output", outputs)):
        for one in signatures:
            dims = ", ".join(map(str, one.shape))
            optional = "\n  optional: true" if field_name == "input" and one.name == "id" else ""
            told += (
                f'{field_name} {{\n  name: "{one.name}"\n'
                f"  data_type: {_TRITON_TYPES[one.datatype]}\n  dims: [{dims}]{optional}\n}}\n"
            )
    # The bundle's own model has no use for a GPU.
    place = "KIND_AUTO" if backend == "onnxruntime" else "KIND_CPU"
    told += f"instance_group {{ count: 1 kind: {place} }}\n"
    (folder / "config.pbtxt").write_text(told + more, encoding="utf-8")


def _encoders(manifest: Manifest) -> list[ModelEntry]:
    return [entry for entry in manifest.models if entry.kind == EncoderModel.kind]


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


FORMATS: Mapping[str, Callable[[Export, Path], None]] = {
    "mlserver": _mlserver,
    "torchserve": _torchserve,
    "triton": _triton,
}
"""Servers that a bundle can be written for."""
