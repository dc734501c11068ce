"""transformers' Trainer, as the encoder needs it.

One order of the texts and the steps of a single process, however many share them; every row of
validation once; checkpoints that a killed training goes on from, by as many processes as there are
then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from rampart.training.checkpoints import Checkpoints
from rampart.training.frozen import FrozenStates, collate
from rampart.training.ordered import Ordered
from rampart.training.pace import Pace
from rampart.training.ranks import Ranks
from rampart.training.sharded import Sharded
from rampart.training.together import Gradients, Together, pass_on

OnEpoch = Callable[[int, float], bool]


class Order(LengthGroupedSampler):
    """The order of the texts in each epoch, by a generator that nothing else draws from.

    Texts of like length share a step. An epoch's order hangs on its number alone, so that a
    training that goes on has the order that it would have had.

    Args:
        batch_size: texts of a step.
        lengths: of the texts.
        seed: of the draws.
        together: texts that all processes take at once. An epoch that does not end with as many
            is filled up with what is no text, which `FrozenStates` has at its end: else accelerate
            fills it up with texts that were there before.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int, together: int = 1) -> None:
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed
        self.epoch = 0
        self._filling = [len(lengths)] * (-len(lengths) % together)

    def __len__(self) -> int:
        return len(self.lengths) + len(self._filling)

    def __iter__(self) -> Iterator[int]:
        drawn = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)[0]
        self.generator = torch.Generator().manual_seed(int(drawn >> np.uint64(1)))
        return iter([*super().__iter__(), *self._filling])


class Steps(TrainerCallback):
    """What happens around steps and epochs.

    Args:
        order: of the texts; is told which epoch begins.
        pace: is told of each step.
        gradients: how they are passed on.
        on_step: called with the steps done.
        on_epoch: called with epochs done and the validation loss; True ends the training.
        every: steps after which a checkpoint is written within an epoch; 0 for none.
    """

    def __init__(
        self,
        order: Order,
        pace: Pace,
        gradients: Gradients,
        *,
        on_step: Callable[[int], None] = lambda _: None,
        on_epoch: OnEpoch | None = None,
        every: int = 0,
    ) -> None:
        self.order = order
        self.pace = pace
        self.gradients = gradients
        self.on_step = on_step
        self.on_epoch = on_epoch
        self.every = every
        self.wrapped: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Hook the averaging of gradients, where there are several processes."""
        if hasattr(self.wrapped(), "register_comm_hook"):
            pass_on(self.wrapped(), self.gradients, self.pace)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Say to the order which epoch it is."""
        self.order.epoch = state.global_step * state.num_train_epochs // max(state.max_steps, 1)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        self.pace.begin()

    def on_pre_optimizer_step(
        self,
        args: Any,  # noqa: ARG002
        state: Any,  # noqa: ARG002
        control: Any,  # noqa: ARG002
        **_: Any,
    ) -> None:
        """Stop the clock: all gradients are there."""
        self.pace.end()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Tell, and ask for a checkpoint where it is time."""
        self.on_step(state.global_step)
        epoch = max(1, state.max_steps // state.num_train_epochs)
        # At its end it is written after the evaluation, which would not be made up for.
        if self.every and state.global_step % self.every == 0 and state.global_step % epoch:
            control.should_save = True

    def on_evaluate(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,
        metrics: Any = None,
        **_: Any,
    ) -> None:
        """Ask whether to go on."""
        if self.on_epoch is not None and self.on_epoch(round(state.epoch), metrics["eval_loss"]):
            control.should_training_stop = True


class Outcome(NamedTuple):
    """What a run came to: losses after each epoch, epochs done, and where the best weights are."""

    losses: list[float]
    epochs: float
    best: Path | None


def run(
    network: Any,
    rows: tuple[FrozenStates, FrozenStates],
    arguments: dict[str, Any],
    scratch: Path,
    steps: Steps,
    *,
    ranks: Ranks,
    patience: int,
    together: Together,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train a network's upper layers, stop early, and leave it with its best weights.

    Args:
        network: on what `FrozenStates` hold.
        rows: to train on, and those that say when to stop.
        arguments: Trainer's, as far as the settings say them.
        scratch: folder for weights, where no checkpoints are kept.
        steps: what happens around them.
        ranks: the processes.
        patience: epochs without a lower validation loss before it stops.
        together: what several processes do.
        checkpoints: that the training goes on from, and leaves.
    """
    kept = checkpoints is not None
    told = TrainingArguments(
        output_dir=str(checkpoints.folder if checkpoints else scratch),
        warmup_ratio=0.1,
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_only_model=not kept,
        # The best, and two more: one may be broken off while it is written.
        save_total_limit=3 if kept else None,
        restore_callback_states_from_checkpoint=True,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to=[],
        **arguments,
    )
    if ranks.count == 1 and told.n_gpu > 1:
        # Else each of the machine's GPUs would take as many texts, and a step be larger.
        told._n_gpu = 1  # noqa: SLF001 - transformers has no other way to say so
    kind = Sharded if together.sharding == "fsdp" and ranks.count > 1 else Ordered
    trainer = kind(
        model=network,
        args=told,
        train_dataset=rows[0],
        eval_dataset=rows[1],
        data_collator=collate,
        callbacks=[EarlyStoppingCallback(patience), steps],
    )
    trainer.steps, trainer.ranks, trainer.checkpoints = steps, ranks, checkpoints
    steps.wrapped = lambda: trainer.model_wrapped
    trainer.remove_callback(PrinterCallback)
    begun = ranks.told(checkpoints.latest() if checkpoints and ranks.first else None)
    trainer.share(together.gradients)
    trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    ranks.wait()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    best = trainer.state.best_model_checkpoint
    return Outcome(losses, float(trainer.state.epoch), Path(best) if best else None)


def load_weights(network: Any, checkpoint: Path) -> None:
    """Give a network the weights of a checkpoint, and leave it ready to answer."""
    from safetensors.torch import load_model

    load_model(network, str(checkpoint / "model.safetensors"))
    network.eval()
