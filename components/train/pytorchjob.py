"""Train a whole bundle in several processes: a PyTorchJob, a TrainJob, or torchrun here."""

from kfp import dsl

from components.definition import component


@component
def train_together(
    table: dsl.Input[dsl.Dataset],
    column: str,
    where: str,
    processes: int,
    restarts: int,
    namespace: str,
    image: str,
    cpu: str,
    memory: str,
    deadline_seconds: int,
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
    gradients: str,
    sharding: str,
    checkpoint_steps: int,
    attribution_texts: int,
    ensemble: str,
    cascade_tolerance: float,
    seed: int,
    candidate: dsl.Output[dsl.Model],
    pace: dsl.Output[dsl.Metrics],
) -> None:
    """Train a bundle together, follow it, and take it down where this step is stopped.

    Args:
        table: split messages.
        column: the split to train on; where it cannot be used, the candidate's folder stays empty.
        where: PyTorchJob, TrainJob, or here for torchrun in this step.
        processes: that train together; the steps are those of one.
        restarts: of each process, until the job has failed.
        namespace: of the job; empty for this pod's own.
        image: of the job's pods; that of manifests/training if empty.
        cpu: cores that each pod asks for.
        memory: that each pod asks for.
        deadline_seconds: after which the job has failed.
        base: the packaged encoder, a folder, or a name on the user's own hub.
        tokens: tokens in the encoder's window.
        tail: how many of them come from the end of a longer message.
        sample: messages that the encoder is trained on; 0 for all.
        trained_layers: layers from the top that are trained.
        epochs: at the most.
        learning_rate: at its highest.
        batch_size: messages a step, over all processes.
        micro_batch: messages of a step that are computed at once; 0 for all.
        checkpointing: whether activations are computed twice rather than kept.
        precision: float32, bfloat16, float16 or auto.
        optimizer: adamw or adafactor.
        gradients: how they are passed on: float32, float16, bfloat16 or powersgd.
        sharding: none, or fsdp where each process holds a share of what is trained.
        checkpoint_steps: from one checkpoint to the next; 0 for one after each epoch.
        attribution_texts: messages that the encoder's second head learns from; 0 for none.
        ensemble: voting, soft or stacking.
        cascade_tolerance: share of campaigns that the quick models alone may get wrong.
        seed: of every draw.
        candidate: the bundle.
        pace: messages a second of each process, and the share of its time that it waited.
    """
    import json
    import signal
    import sys
    from pathlib import Path

    from jobs.training import Place, train
    from rampart.data.shards import small_columns
    from rampart.data.splits import has_both
    from rampart.training.pace import Rank, stragglers

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - the step's log

    folder = Path(candidate.path)
    folder.mkdir(parents=True, exist_ok=True)
    # A step whose metrics have no file is never found in the cache of a local run.
    figures = Path(pace.path)
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text("{}", encoding="utf-8")
    if not has_both(small_columns(table.path, ("label", column)), column):
        return
    # A run that is stopped takes its job along: the handler raises, and what follows removes it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = {
        "column": column,
        "base": base,
        "tokens": tokens,
        "tail": tail,
        "sample": sample,
        "layers": trained_layers,
        "epochs": epochs,
        "learning-rate": learning_rate,
        "batch-size": batch_size,
        "micro-batch": micro_batch,
        "precision": precision,
        "optimizer": optimizer,
        "gradients": gradients,
        "sharding": sharding,
        "checkpoint-steps": checkpoint_steps,
        "attribution-texts": attribution_texts,
        "ensemble": ensemble,
        "cascade-tolerance": cascade_tolerance,
        "seed": seed,
    }
    options = [f"--{name}={value}" for name, value in given.items()]
    place = Place.of(
        where=where,
        processes=processes,
        restarts=restarts,
        namespace=namespace,
        image=image,
        cpu=cpu,
        memory=memory,
        deadline_seconds=deadline_seconds,
    )
    report = train(
        Path(table.path), folder, options + ["--checkpointing"] * checkpointing, place, tell
    )
    ranks = [Rank.model_validate(one) for one in report["ranks"]]
    found = {"stragglers": float(len(stragglers(ranks)))}
    for one in ranks:
        found[f"process_{one.rank}_texts_a_second"] = one.texts_a_second
        found[f"process_{one.rank}_waited"] = one.waited
    for name, value in found.items():
        pace.log_metric(name, value)
    figures.write_text(json.dumps(found), encoding="utf-8")
    candidate.metadata.update(processes=processes, validation_loss=report["validation_loss"])
