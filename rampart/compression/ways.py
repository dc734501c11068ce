"""Ways to make an encoder cheaper, by name: each writes what is served, and says what it did."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from rampart.compression.calibration import stratified
from rampart.compression.costs import NETWORK_FOLDER
from rampart.compression.quantisation import (
    fuse,
    quantise_encoder,
    quantise_static,
    quantise_to_4_bits,
    sensitivities,
)
from rampart.data.labelled import Labelled
from rampart.errors import InputError
from rampart.models.base import Floats
from rampart.models.encoder import EncoderModel

FLOAT = "float"
TORCHSCRIPT, EAGER = "torchscript", "eager"
REFERENCES = frozenset({TORCHSCRIPT, EAGER})
"""What is measured beside the others and not served: the servers hold no torch."""

_CALIBRATED_ON = 100
_SEARCHED_ON = 32


@dataclass(frozen=True)
class Source:
    """What variants are made from.

    Attributes:
        served: folder of the exported encoder.
        trained: folder of the trained network; needed for TorchScript alone.
        texts: cleaned training texts with labels, to calibrate with.
        seed: of draws.
        others: folders of the bundle's other models by their kind; students learn from them too.
        validation: texts that no model was fitted on; needed for students alone.
    """

    served: Path
    trained: Path | None
    texts: Labelled
    seed: int = 0
    others: Mapping[str, Path] = field(default_factory=dict)
    validation: Labelled | None = None

    @property
    def teachers(self) -> Mapping[str, Path]:
        """Folders of all models by their kind."""
        return {**self.others, EncoderModel.kind: self.served}

    @cached_property
    def soft(self) -> tuple[Floats, Floats]:
        """What the teachers say of the texts and of the validation texts, asked once.

        Raises:
            InputError: there are no validation texts to calibrate them with.
        """
        from rampart.compression.distillation import soft_labels

        if self.validation is None:
            raise InputError("Soft labels need validation texts.", "Give some.")
        return soft_labels(self.teachers, self.texts, self.validation)


Build = Callable[[Source, Path], str]


def _float(source: Source, folder: Path) -> str:
    shutil.copytree(source.served, folder, dirs_exist_ok=True)
    return "as it was exported"


def _fused(source: Source, folder: Path) -> str:
    return f"{fuse(source.served, folder)} fused operators, in float"


def _dynamic(source: Source, folder: Path) -> str:
    return f"{quantise_encoder(source.served, folder)} tables in 8 bits, activations on the way"


def _static(method: str) -> Build:
    def build(source: Source, folder: Path) -> str:
        texts = stratified(source.texts, _CALIBRATED_ON, source.seed).texts
        count = quantise_static(source.served, folder, texts, method)  # type: ignore[arg-type]
        return f"{count} tables in 8 bits, activations by {method} over {len(texts)} texts"

    return build


def _searched(source: Source, folder: Path) -> str:
    """The tables stay in float that together do half of what making all smaller does."""
    found = sensitivities(source.served, stratified(source.texts, _SEARCHED_ON, source.seed).texts)
    order = sorted(found, key=lambda name: -found[name])
    share = np.cumsum([found[name] for name in order]) / sum(found.values())
    kept = order[: int(np.searchsorted(share, 0.5)) + 1]
    texts = stratified(source.texts, _CALIBRATED_ON, source.seed).texts
    count = quantise_static(source.served, folder, texts, but=kept)
    return f"{count} tables in 8 bits; {len(kept)} in float, which do half of all harm"


def _four_bits(source: Source, folder: Path) -> str:
    return f"{quantise_to_4_bits(source.served, folder)} tables in 4 bits"


def _student(layers: int) -> Build:
    def build(source: Source, folder: Path) -> str:
        from rampart.compression.distillation import SETTINGS, distil

        if source.trained is None or source.validation is None:
            raise InputError(
                "A student needs the trained network and validation texts.", "Leave it out."
            )
        settings = SETTINGS.model_copy(update={"seed": source.seed})
        report = distil(
            source.trained, layers, source.texts, source.validation, source.soft, folder, settings
        )
        # What is served holds no training weights.
        shutil.rmtree(folder / NETWORK_FOLDER)
        return (
            f"{layers} layers, taught by {', '.join(source.teachers)} on {report.texts} texts "
            f"in {report.epochs:.0f} epochs"
        )

    return build


def _small_student(layers: int) -> Build:
    def build(source: Source, folder: Path) -> str:
        student = folder.parent / f"student-{layers}"
        note = "" if student.exists() else _student(layers)(source, student)
        count = quantise_encoder(student, folder)
        return f"student-{layers} with {count} tables in 8 bits{note and f' ({note})'}"

    return build


def _torchscript(source: Source, folder: Path) -> str:
    from rampart.compression.torchscript import export_torchscript

    if source.trained is None:
        raise InputError("TorchScript needs the trained network.", "Leave it out.")
    gap = export_torchscript(source.trained, source.served, folder)
    return f"traced, frozen, optimised for inference; within {gap:.0e} of the network"


def _eager(source: Source, folder: Path) -> str:
    if source.trained is None:
        raise InputError("Eager PyTorch needs the trained network.", "Leave it out.")
    shutil.copytree(source.trained, folder / NETWORK_FOLDER, dirs_exist_ok=True)
    return "PyTorch, as it was trained"


VARIANTS: Mapping[str, Build] = {
    FLOAT: _float,
    "fused": _fused,
    "int8": _dynamic,
    "int8-minmax": _static("minmax"),
    "int8-entropy": _static("entropy"),
    "int8-percentile": _static("percentile"),
    "int8-searched": _searched,
    "int4": _four_bits,
    "student-3": _student(3),
    "student-3-int8": _small_student(3),
    "student-2": _student(2),
    "student-2-int8": _small_student(2),
    TORCHSCRIPT: _torchscript,
    EAGER: _eager,
}
"""Every way there is."""
