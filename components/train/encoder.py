"""Fine-tune the encoder."""

from kfp import dsl

from components.definition import component


@component
def train_encoder(
    table: dsl.Input[dsl.Dataset],
    column: str,
    base: str,
    tokens: int,
    tail: int,
    sample: int,
    trained_layers: int,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    micro_batch: int,
    checkpointing: bool,
    precision: str,
    optimizer: str,
    seed: int,
    network: dsl.Output[dsl.Model],
) -> None:
    """Fine-tune an encoder with mean pooling and a linear head.

    Args:
        table: split messages.
        column: the split to train on; where it cannot be used, the network's folder stays empty.
        base: the packaged encoder, a folder, or a name on the user's own hub.
        tokens: tokens in the window.
        tail: how many of them come from the end of a longer message.
        sample: messages to train on, drawn with the seed; 0 for all.
        trained_layers: layers from the top that are trained.
        epochs: at the most; it stops when the validation loss rises.
        learning_rate: at its highest.
        batch_size: messages a step.
        micro_batch: messages of a step that are computed at once; 0 for all of them.
        checkpointing: whether activations are computed twice rather than kept.
        precision: float32, bfloat16, float16 or auto.
        optimizer: adamw, or adafactor, which keeps less.
        seed: of the draw, the head, the order and the dropout.
        network: folder with the weights, the architecture and the tokenizer.
    """
    from pathlib import Path

    from rampart.data.splits import has_both
    from rampart.data.tables import read_table

    folder = Path(network.path)
    folder.mkdir(parents=True, exist_ok=True)
    messages = read_table(table.path)
    if not has_both(messages, column):
        return

    from components.progress import tell
    from rampart.data.labelled import Labelled
    from rampart.models.encoder import WindowSettings
    from rampart.training.encoder import EncoderTraining, train_encoder
    from rampart.training.memory import MemorySettings
    from rampart.training.tokens import user_tokens

    train, validation = (Labelled.part(messages, column, part) for part in ("train", "validation"))
    settings = EncoderTraining(
        base=base,
        window=WindowSettings(tokens=tokens, tail=tail),
        sample=sample or None,
        trained_layers=trained_layers,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        memory=MemorySettings.model_validate(
            {
                "micro_batch": micro_batch or None,
                "checkpointing": checkpointing,
                "precision": precision,
                "optimizer": optimizer,
            }
        ),
        seed=seed,
    )
    report = train_encoder(
        train, validation, folder, settings, tokens=user_tokens(), on_progress=tell
    )
    network.metadata.update(report.model_dump(), column=column)
