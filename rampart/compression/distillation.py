"""A student of two or three layers that learns what the whole ensemble says.

It starts from the trained encoder: layers spread evenly over the teacher's, the last among them,
with its head. It is trained on the probability that all models together give each training text,
which says more than the label: how sure they are, and of which texts they are not. Its terms are
the sum's own; a second head, which knows the teacher's layers, does not go with it.

Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, for soft
labels; Sanh and others, "DistilBERT", 2019, for a student that starts from its teacher's layers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from rampart.compression.onnx import export_encoder
from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.models.base import Floats, sigmoid
from rampart.models.calibration import fit_platt
from rampart.models.encoder import TOKENIZER_FILE
from rampart.models.kinds import KINDS
from rampart.training.encoder import EncoderReport, EncoderTraining, OnProgress, fit_network
from rampart.training.network import EncoderNetwork

SETTINGS = EncoderTraining(epochs=3, learning_rate=1e-4)
"""All layers of a student are trained; of these settings the base and the window do not count."""


def soft_labels(
    models: Mapping[str, Path], texts: Labelled, validation: Labelled
) -> tuple[Floats, Floats]:
    """What the models together say: the mean of their calibrated logits, as probabilities.

    Args:
        models: folders of trained models by their kind.
        texts: to be labelled, n of them.
        validation: m of them, which the models were not fitted on, to calibrate with.

    Returns:
        Probabilities of the texts, float64 [n], and of the validation texts, float64 [m].

    Raises:
        BundleError: a model cannot be read.
        TrainingError: one cannot be calibrated.
    """
    sums = np.zeros(len(texts.texts)), np.zeros(len(validation.texts))
    parts = texts.aligned(), validation.aligned()
    for kind, folder in models.items():
        model = KINDS[kind].load(folder)
        logits = [model.score(part, explain=False).logit for part in parts]
        calibration = fit_platt(logits[1], validation.labels)
        for total, logit in zip(sums, logits, strict=True):
            np.add(total, calibration(logit), out=total)
    first, second = (sigmoid(total / len(models)) for total in sums)
    return first, second


def distil(
    teacher: Path,
    layers: int,
    train: Labelled,
    validation: Labelled,
    soft: tuple[Floats, Floats],
    folder: Path,
    settings: EncoderTraining = SETTINGS,
    *,
    on_progress: OnProgress | None = None,
) -> EncoderReport:
    """Train a student and write the graph that is served, as `export_encoder` does.

    Args:
        teacher: folder of the trained network.
        layers: of the student.
        train: what it learns from.
        validation: what says when to stop.
        soft: probabilities of the two, as `soft_labels` gives them.
        folder: gets the graph and what goes with it, and in network/ the student itself.
        settings: of the training.
        on_progress: called with steps done and steps in all.

    Raises:
        TrainingError: the teacher cannot be read, or has no more layers than the student.
    """
    from transformers import set_seed

    network, document = EncoderNetwork.load(teacher)
    set_seed(settings.seed)
    student = _student(network, layers)
    settings = settings.model_copy(update={"window": document.window, "trained_layers": layers})
    report = fit_network(
        student,
        (teacher / TOKENIZER_FILE).read_text(encoding="utf-8"),
        (train, validation),
        folder / "network",
        settings,
        targets=soft,
        on_progress=on_progress,
    )
    export_encoder(folder / "network", folder)
    return report


def _student(network: EncoderNetwork, layers: int) -> EncoderNetwork:
    stack = network.bert.encoder.layer
    if not 0 < layers < len(stack):
        raise TrainingError(
            f"A student of {layers} layers cannot learn from {len(stack)}.",
            "Choose fewer layers than the teacher has, and one at the least.",
        )
    places = np.linspace(0, len(stack) - 1, layers + 1)[1:].round().astype(int).tolist()
    bert = copy.deepcopy(network.bert)
    bert.encoder.layer = nn.ModuleList([bert.encoder.layer[place] for place in places])
    bert.config.num_hidden_layers = layers
    student = EncoderNetwork(bert, trained_layers=layers)
    student.head.load_state_dict(network.head.state_dict())
    return student
