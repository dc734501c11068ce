"""`rampart train`: a bundle from a split table, in one process or in each replica of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rampart.cli.console import err, facts, out, print_json
from rampart.cli.data import Json
from rampart.errors import InputError
from rampart.features.pretrained import PACKAGED_BASE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from rampart.bundle.manifest import Manifest
    from rampart.training.encoder import EncoderReport, EncoderTraining

M = TypeVar("M", bound="BaseModel")
_TELL_EVERY = 0.1


def train(
    table: Annotated[
        Path,
        typer.Option(help="Split messages, as `rampart data prepare` or the pipeline writes them."),
    ],
    bundle: Annotated[Path, typer.Option(help="Folder that the bundle goes to.")],
    *,
    column: Annotated[str, typer.Option(help="The split: split or time_split.")] = "split",
    only: Annotated[
        str,
        typer.Option(
            help="ngram: the n-grams alone, from a table that may be larger than memory; the "
            "encoder's options then say nothing."
        ),
    ] = "",
    base: Annotated[
        str, typer.Option(help="Encoder to start from: packaged, a folder, or a name on your hub.")
    ] = PACKAGED_BASE,
    tokens: Annotated[int, typer.Option(help="In the encoder's window.")] = 128,
    tail: Annotated[int, typer.Option(help="Of them, from the end of a longer message.")] = 32,
    sample: Annotated[int, typer.Option(help="Messages for the encoder; 0 for all.")] = 0,
    layers: Annotated[int, typer.Option(help="From the top, that are trained.")] = 2,
    epochs: Annotated[int, typer.Option(help="At the most.")] = 4,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder, at its highest.")] = 2e-4,
    batch_size: Annotated[int, typer.Option(help="Messages a step, over all processes.")] = 32,
    micro_batch: Annotated[
        str,
        typer.Option(
            help="Messages of a step computed at once, with the same gradients: a number, auto "
            "for as many as fit into memory, 0 for all."
        ),
    ] = "0",
    checkpointing: Annotated[
        bool, typer.Option(help="Compute activations twice rather than keep them.")
    ] = False,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, float16 or auto: 16 bits where they are quick.")
    ] = "float32",
    optimizer: Annotated[str, typer.Option(help="adamw, or adafactor, which keeps less.")] = (
        "adamw"
    ),
    states: Annotated[
        str, typer.Option(help="Where the frozen layers' outputs lie: memory or disk.")
    ] = "memory",
    gradients: Annotated[
        str,
        typer.Option(
            help="How several processes pass them on: float32, float16, bfloat16 or powersgd."
        ),
    ] = "float32",
    sharding: Annotated[
        str,
        typer.Option(
            help="What each of several processes holds of the trained layers: all of them (none), "
            "or a share (fsdp)."
        ),
    ] = "none",
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            help="Folder that all processes see: a training that was broken off goes on from there."
        ),
    ] = None,
    checkpoint_steps: Annotated[
        int, typer.Option(help="From one to the next; 0 for one after each epoch.")
    ] = 0,
    token_cache: Annotated[
        bool,
        typer.Option(help="Keep the messages' tokens in the cache folder, and find them there."),
    ] = True,
    report: Annotated[
        Path | None, typer.Option(help="File for what became of the encoder, as JSON.")
    ] = None,
    attribution_texts: Annotated[
        int, typer.Option(help="That the encoder's second head learns from; 0 for none.")
    ] = 800,
    ensemble: Annotated[str, typer.Option(help="voting, soft or stacking.")] = "voting",
    cascade_tolerance: Annotated[
        float, typer.Option(help="Share of campaigns that the quick models alone may get wrong.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    as_json: Json = False,
) -> None:
    """Train all models on a split table and write their bundle.

    Under torchrun, or as a replica of a PyTorchJob or a TrainJob, all processes train the encoder
    together, and the first writes the bundle. On a laptop `rampart pipeline run training` does
    more: it fetches, splits, evaluates, compares and registers besides.
    """
    if only:
        _train_ngram(only, table, column, bundle, seed=seed, as_json=as_json)
        return
    from rampart.data.tables import read_table
    from rampart.ensembles.cascade import CascadeSettings
    from rampart.fitting import Fitting, fit_bundle
    from rampart.models.encoder import WindowSettings
    from rampart.training.attribution import AttributionTraining
    from rampart.training.checkpoints import Keep
    from rampart.training.encoder import EncoderTraining
    from rampart.training.memory import MemorySettings
    from rampart.training.ngram import NgramTraining
    from rampart.training.tabular import TabularTraining
    from rampart.training.together import Together
    from rampart.training.tokens import user_tokens

    memory = _checked(
        MemorySettings,
        checkpointing=checkpointing,
        precision=precision,
        optimizer=optimizer,
        states=states,
    )
    head = AttributionTraining(texts=attribution_texts, seed=seed) if attribution_texts else None
    encoder = EncoderTraining(
        base=base,
        window=WindowSettings(tokens=tokens, tail=tail),
        sample=sample or None,
        trained_layers=layers,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        memory=memory,
        together=_checked(Together, gradients=gradients, sharding=sharding),
        seed=seed,
    )
    fitting = Fitting(
        encoder=_in_parts(encoder, micro_batch),
        ngram=NgramTraining(),
        tabular=TabularTraining(seed=seed),
        attribution=head,
        ensemble=ensemble,
        cascade=CascadeSettings(tolerance=cascade_tolerance),
    )
    if checkpoint_steps < 0:
        raise InputError(f"--checkpoint-steps is {checkpoint_steps}.", "Give 0 or more.")
    manifest = fit_bundle(
        read_table(table),
        column,
        bundle,
        fitting,
        keep=Keep(checkpoints, checkpoint_steps) if checkpoints else None,
        tokens=user_tokens() if token_cache else None,
        stage=_Lines(),
        on_encoder=lambda found: _tell(found, report),
    )
    if manifest is not None:
        _show(bundle, manifest, as_json=as_json)


def _train_ngram(
    only: str, table: Path, column: str, bundle: Path, *, seed: int, as_json: bool
) -> None:
    from rampart.fitting import fit_ngram_bundle
    from rampart.models.cores import cores
    from rampart.training.ngram import NgramTraining

    if only != "ngram":
        raise InputError(f"--only is {only!r}.", "Give ngram, or leave it out for all models.")
    manifest = fit_ngram_bundle(
        table, column, bundle, NgramTraining(), seed=seed, processes=cores(), stage=_Lines()
    )
    _show(bundle, manifest, as_json=as_json)


def _show(bundle: Path, manifest: Manifest, *, as_json: bool) -> None:
    found = {"bundle": str(bundle), "id": manifest.id, "threshold": manifest.threshold}
    print_json(found) if as_json else out.print(facts(found))


def _checked(kind: type[M], **given: object) -> M:
    from pydantic import ValidationError

    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{first['loc'][0]} cannot be {first['input']!r}: {first['msg']}.", "Correct it."
        ) from None


def _tell(report: EncoderReport, path: Path | None) -> None:
    """How quick each process was, and which holds the others up."""
    from rampart.training.pace import stragglers

    if len(report.ranks) > 1:
        for one in report.ranks:
            err.print(
                f"process {one.rank}: {one.texts} texts, {one.texts_a_second:g} a second, "
                f"{one.waited:.0%} of the time waiting"
            )
    for slow in stragglers(report.ranks):
        err.print(f"process {slow} holds the others up", style="yellow")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.model_dump_json(indent=2), encoding="utf-8")


def _in_parts(encoder: EncoderTraining, micro_batch: str) -> EncoderTraining:
    """The same, computed so many at once; `auto` tries it out."""
    from rampart.training.probe import largest_micro_batch
    from rampart.training.ranks import Ranks

    if micro_batch == "auto":
        ranks = Ranks.of_environment()
        if ranks.count > 1:
            raise InputError(
                "Processes that train together compute the same number of messages at once.",
                "Try --micro-batch auto in one process, and give all the number that it finds.",
            )
        share = ranks.share(encoder.batch_size)
        texts = largest_micro_batch(encoder, share, tell=_tell_try).micro_batch
        err.print(f"{texts} of {share} messages of a step are computed at once")
    elif micro_batch.isdecimal():
        texts = int(micro_batch) or encoder.batch_size
    else:
        raise InputError(
            f"--micro-batch is {micro_batch!r}.", "Give a number of messages, or auto."
        )
    memory = encoder.memory.model_copy(update={"micro_batch": texts})
    return encoder.model_copy(update={"memory": memory})


def _tell_try(texts: int, taken: int | None) -> None:
    how = "do not fit" if taken is None else f"take {taken / 1e6:.0f} MB"
    err.print(f"{texts} messages at once {how}")


class _Lines:
    """Says what begins and every tenth of it, in lines that a pod's log keeps."""

    def __call__(self, name: str) -> _Line:
        err.print(name)
        return _Line(name)


class _Line:
    def __init__(self, name: str) -> None:
        self.name = name
        self.told = 0.0

    def __call__(self, done: int, total: int) -> None:
        if not total:
            return
        share = done / total
        if share >= self.told + _TELL_EVERY:
            self.told = share
            err.print(f"{self.name}: {share:.0%}")
