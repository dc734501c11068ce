"""From fitted models to a bundle: calibrate, combine, choose thresholds, seal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rampart.bundle.manifest import CASCADE_FILE, Manifest, ModelEntry
from rampart.bundle.store import copy_files, seal, staged, verify
from rampart.data.cleaning import AlignedText
from rampart.data.labelled import Labelled
from rampart.ensembles.base import Combine
from rampart.ensembles.cascade import CascadeSettings, fit_cascade
from rampart.ensembles.voting import fit_voting
from rampart.errors import TrainingError
from rampart.evaluation.metrics import threshold_at_fpr
from rampart.models.base import Floats, Model, sigmoid
from rampart.models.calibration import fit_platt
from rampart.models.kinds import KINDS

_TIMED_TEXTS = 40


@dataclass(frozen=True)
class Origin:
    """Where a bundle comes from, for its manifest.

    Attributes:
        source_revision: of the code.
        data_fingerprint: of the data.
        labels: the harmless label, then the threat.
        parameters: how the models were trained, for the reader.
    """

    source_revision: str = "unknown"
    data_fingerprint: str = "unknown"
    labels: tuple[str, str] = ("ham", "spam")
    parameters: Mapping[str, str] = field(default_factory=dict)


def assemble(
    target: Path,
    models: Mapping[str, Path],
    validation: Labelled,
    *,
    combine: Combine = fit_voting,
    cascade: CascadeSettings | None = None,
    false_positive_rate: float = 0.01,
    origin: Origin | None = None,
) -> Manifest:
    """Write the bundle of fitted models, calibrated and combined on a validation split.

    Args:
        target: where the bundle goes; replaced whole or left as it was.
        models: kind of model to the folder with its files; cheapest first.
        validation: what they are calibrated on.
        combine: makes one logit of theirs; all of the models need not have a part in it.
        cascade: what may be settled before all models are asked; None for nothing.
        false_positive_rate: on validation, at which the decision thresholds are put.
        origin: where it comes from.

    Raises:
        InputError: a stage of the cascade leaves out a model of the one before it.
        TrainingError: no model is given, one is of no known kind or not there, or the split cannot
            calibrate.
        BundleError: a model's files cannot be read.
    """
    origin = origin or Origin()
    if not models:
        raise TrainingError("There is no model to put in a bundle.", "Train at least one.")
    for name, source in models.items():
        if name not in KINDS or not source.is_dir():
            raise TrainingError(
                f"There is no model of the kind {name} in {source}.",
                f"Name a trained model's folder by its kind: {' or '.join(KINDS)}.",
            )
    texts, labels = validation.aligned(), validation.labels
    with staged(target) as folder:
        logits: dict[str, Floats] = {}
        entries = []
        for name, source in models.items():
            shutil.copytree(source, folder / name)
            model = KINDS[name].load(folder / name)
            logits[name] = model.score(texts, explain=False).logit
            calibration = fit_platt(logits[name], labels)
            probability = sigmoid(calibration(logits[name]))
            entries.append(
                ModelEntry(
                    name=name,
                    kind=KINDS[name].kind,
                    folder=name,
                    cost=_cost(KINDS[name].load(folder / name, threads=1), texts),
                    calibration=calibration,
                    threshold=threshold_at_fpr(labels, probability, false_positive_rate),
                )
            )
        calibrations = {entry.name: entry.calibration for entry in entries}
        ensemble = combine(logits, calibrations, labels)
        combined = sigmoid(ensemble.stages[-1].combine(logits))
        threshold = threshold_at_fpr(labels, combined, false_positive_rate)
        if cascade is not None:
            ensemble, report = fit_cascade(
                ensemble,
                logits,
                calibrations,
                labels,
                threshold=threshold,
                campaigns=validation.campaigns,
                settings=cascade,
            )
            (folder / CASCADE_FILE).write_text(report.model_dump_json(indent=2), encoding="utf-8")
        manifest = Manifest(
            source_revision=origin.source_revision,
            data_fingerprint=origin.data_fingerprint,
            labels=origin.labels,
            threshold=threshold,
            models=tuple(entries),
            ensemble=ensemble,
            parameters=dict(origin.parameters),
        )
        return seal(folder, manifest)


def finish(
    candidate: Path,
    target: Path,
    *,
    metrics: Mapping[str, Mapping[str, float | None]],
    documents: Mapping[str, bytes],
) -> Manifest:
    """Write the candidate again with what was measured of it.

    Args:
        candidate: a bundle as `assemble` wrote it.
        target: where the finished bundle goes.
        metrics: slice to metric to value.
        documents: further files by name: the model card, the drift reference.

    Raises:
        BundleError: the candidate is broken.
    """
    manifest = verify(candidate)
    with staged(target) as folder:
        copy_files(candidate, folder, manifest.files)
        for name, content in documents.items():
            (folder / name).write_bytes(content)
        measured = {slice_: dict(values) for slice_, values in metrics.items()}
        return seal(folder, manifest.model_copy(update={"metrics": measured}))


def _cost(model: Model, texts: Sequence[AlignedText]) -> float:
    """Milliseconds a text, one at a time, on the threads the model has: the median."""
    times = []
    for text in texts[:_TIMED_TEXTS]:
        begin = time.perf_counter()
        model.score([text])
        times.append(time.perf_counter() - begin)
    return round(float(np.median(times)) * 1e3, 3)
