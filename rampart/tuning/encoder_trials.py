"""Trials of the encoder: epochs are the steps, and the float network is what is judged.

The pruner sees the first fold's validation loss after each epoch; a trial that it lets through is
trained on the other folds whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from rampart.data.cleaning import AlignedText
from rampart.models.base import Floats
from rampart.models.encoder import TOKENIZER_FILE, WindowSettings, length_batches
from rampart.training.encoder import EncoderTraining, train_encoder
from rampart.training.frozen import Cutter
from rampart.training.network import EncoderNetwork
from rampart.tuning.figures import cost, recall
from rampart.tuning.pool import Fold, Pool
from rampart.tuning.settings import Parameters, StudySettings
from rampart.tuning.steps import Steps

_TOKENS_AT_ONCE = 4_096


def training_of(parameters: Parameters, settings: StudySettings) -> EncoderTraining:
    """The training's settings from the pipeline's parameters."""
    plain = EncoderTraining()
    return EncoderTraining(
        base=settings.base,
        window=WindowSettings(
            tokens=int(parameters.get("encoder_tokens", plain.window.tokens)),
            tail=int(parameters.get("encoder_tail", plain.window.tail)),
        ),
        trained_layers=int(parameters.get("encoder_layers", plain.trained_layers)),
        epochs=settings.epochs,
        learning_rate=float(parameters.get("encoder_learning_rate", plain.learning_rate)),
        batch_size=int(parameters.get("encoder_batch_size", plain.batch_size)),
        sample=settings.sample or None,
        seed=settings.seed,
    )


def encoder_trial(
    pool: Pool,
    folds: Sequence[Fold],
    settings: StudySettings,
    parameters: Parameters,
    steps: Steps,
) -> dict[str, float]:
    """Figures of one set of parameters: the mean over the folds.

    Raises:
        TrainingError: a fold cannot be fitted.
        HaltedError: the worker was asked to stop.
        optuna.TrialPruned: others had a lower loss after fewer epochs.
    """
    training = training_of(parameters, settings)
    found, network = [], None
    for number, fold in enumerate(folds):
        network = Scored.trained(pool, fold, training, steps, tells=number == 0)
        logit = network([pool.rows.texts[row] for row in fold.judged])
        found.append(recall(logit, pool.rows.labels[fold.judged]))
    figures = {"recall": float(np.mean(found))}
    if "cost" in settings.objectives and network is not None:
        texts = pool.rows.rows(folds[-1].judged).aligned()
        figures["cost"] = network.cost(texts)
    return figures


class Scored:
    """A trained network that gives logits of clean texts, by the first window as trained."""

    def __init__(self, folder: Path) -> None:
        self.network, document = EncoderNetwork.load(folder)
        tokenizer = (folder / TOKENIZER_FILE).read_text(encoding="utf-8")
        self.cut = Cutter(tokenizer, document.window)

    @classmethod
    def trained(
        cls, pool: Pool, fold: Fold, training: EncoderTraining, steps: Steps, *, tells: bool
    ) -> Scored:
        """Train on a fold; where it `tells`, each epoch is a step, and else a chance to stop.

        Raises:
            TrainingError: it cannot be trained.
            HaltedError: the worker was asked to stop.
            optuna.TrialPruned: others had a lower loss by this epoch.
        """

        def after(epoch: int, loss: float) -> bool:
            if tells:
                # The pruner takes what is higher for the better.
                steps(epoch, -loss)
            return False

        def often(_: int, __: int) -> None:
            steps.check()

        parts = pool.rows.rows(fold.train), pool.rows.rows(fold.watched)
        with TemporaryDirectory(prefix="rampart-trial-") as folder:
            train_encoder(*parts, Path(folder), training, on_progress=often, on_epoch=after)
            return cls(Path(folder))

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Logits, float64 [n]."""
        ids = self.cut(texts)
        result = np.zeros(len(ids))
        lengths = np.array([len(row) for row in ids])
        with torch.inference_mode():
            for batch in length_batches(lengths, _TOKENS_AT_ONCE):
                rows = [torch.from_numpy(ids[index]) for index in batch]
                padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
                mask = torch.arange(padded.shape[1])[None] < torch.tensor(lengths[batch])[:, None]
                hidden = self.network.lower(padded, mask.long())
                result[batch] = self.network(hidden, mask.long())["logits"].double().numpy()
        return result

    def cost(self, texts: Sequence[AlignedText]) -> float:
        """Milliseconds of processor time a text, one at a time as a server is asked."""

        def one_by_one(some: Sequence[AlignedText]) -> None:
            for text in some:
                self([text.text])

        return cost(one_by_one, texts)
