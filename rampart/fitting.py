"""A bundle from one split table, in one process or in several that train its encoder together.

What the training pipeline does in steps, a distributed job does here: all processes fit the
encoder (DDP), then the first goes on alone, since the rest is quick beside it. Where checkpoints
are kept, the others are done then: the first, started again, finds the encoder's end among them.
Without, they wait for it: where it is lost, so are they, and all are started again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from rampart.bundle.build import Origin, assemble
from rampart.bundle.manifest import Manifest
from rampart.bundle.revision import source_revision
from rampart.compression.onnx import export_encoder
from rampart.data.labelled import Labelled
from rampart.data.manifest import Manifest as DataManifest
from rampart.data.shards import is_sharded, small_columns
from rampart.data.splits import has_both
from rampart.ensembles.cascade import CascadeSettings
from rampart.errors import TrainingError
from rampart.training.attribution import AttributionTraining, fit_attribution
from rampart.training.checkpoints import Keep, remove
from rampart.training.combination import VOTING, combination
from rampart.training.encoder import EncoderReport, EncoderTraining, train_encoder
from rampart.training.ngram import NgramTraining, fit_ngram
from rampart.training.ngram_stream import fit_ngram_stream
from rampart.training.ranks import Ranks
from rampart.training.tabular import TabularTraining, fit_tabular
from rampart.training.tokens import TokenCache

Stage = Callable[[str], Callable[[int, int], None] | None]

_VALIDATION_TEXTS = 50_000
"""That tell where a threshold is as well as more of them would."""


@dataclass(frozen=True)
class Fitting:
    """How the models of a bundle are fitted; defaults are the training pipeline's.

    Attributes:
        encoder: its fine-tuning.
        ngram: the n-grams.
        tabular: the trees.
        attribution: the encoder's second head; None for none.
        ensemble: how the models are combined.
        cascade: what the quick ones may settle alone.
        false_positive_rate: on validation, at which thresholds are put.
    """

    encoder: EncoderTraining
    ngram: NgramTraining
    tabular: TabularTraining
    attribution: AttributionTraining | None = None
    ensemble: str = VOTING
    cascade: CascadeSettings | None = None
    false_positive_rate: float = 0.01


def fit_bundle(
    messages: pd.DataFrame,
    column: str,
    bundle: Path,
    fitting: Fitting,
    *,
    fingerprint: str = "unknown",
    keep: Keep | None = None,
    tokens: TokenCache | None = None,
    stage: Stage = lambda _: None,
    on_encoder: Callable[[EncoderReport], None] = lambda _: None,
) -> Manifest | None:
    """Fit all models on a split, and write their bundle.

    Args:
        messages: a split table.
        column: the split.
        bundle: where it goes; replaced whole or left as it was.
        fitting: how.
        fingerprint: of the data.
        keep: where the encoder's checkpoints are kept; they go when the bundle is there.
        tokens: where the encoder's tokens are kept, and found by the next training.
        on_encoder: is told by the first process how the encoder's training went.
        stage: is told what begins, and gives what is told how far it is.

    Returns:
        The manifest; None in processes but the first.

    Raises:
        TrainingError: the split lacks a class in a part, or a model cannot be fitted.
    """
    _refuse(messages, column)
    ranks = Ranks.of_environment()
    train, validation = (Labelled.part(messages, column, part) for part in ("train", "validation"))
    with TemporaryDirectory(prefix="rampart-fitting-") as scratch:
        folder = {kind: Path(scratch) / kind for kind in ("ngram", "tabular", "network", "encoder")}
        tell = stage("Train the encoder") if ranks.first else None
        network = folder["network"]
        report = train_encoder(
            train,
            validation,
            network,
            fitting.encoder,
            keep=keep,
            tokens=tokens,
            on_progress=tell,
        )
        if not ranks.first:
            ranks.leave(wait=keep is None)
            return None
        on_encoder(report)
        if fitting.attribution is not None:
            tell = stage("Learn which words the encoder rests on")
            fit_attribution(
                folder["network"], train, validation, fitting.attribution, on_progress=tell
            )
        stage("Export the encoder to ONNX")
        export_encoder(folder["network"], folder["encoder"])
        stage("Train the n-grams")
        fit_ngram(train.texts, train.labels, fitting.ngram).save(folder["ngram"])
        stage("Train the trees over features")
        fit_tabular(train, validation, fitting.tabular).save(folder["tabular"])
        stage("Calibrate and combine")
        encoder = fitting.encoder
        manifest = assemble(
            bundle,
            {kind: folder[kind] for kind in ("ngram", "tabular", "encoder")},
            validation,
            combine=combination(fitting.ensemble, train, validation, seed=encoder.seed),
            cascade=fitting.cascade,
            false_positive_rate=fitting.false_positive_rate,
            origin=Origin(
                source_revision=source_revision(),
                data_fingerprint=fingerprint,
                parameters={
                    "encoder trained on": f"{encoder.sample} messages" if encoder.sample else "all",
                    "encoder layers trained": str(encoder.trained_layers),
                    "encoder epochs at most": str(encoder.epochs),
                    "processes": str(ranks.count),
                    "seed": str(encoder.seed),
                    **_named(fitting),
                },
            ),
        )
        ranks.leave(wait=keep is None)
        if keep is not None:
            remove(keep.folder)
        return manifest


def _named(fitting: Fitting) -> dict[str, str]:
    """What the training pipeline calls its parameters, for the next study to start from."""
    named: dict[str, object] = {
        "ngram_words": fitting.ngram.ngrams.words,
        "ngram_regularisation": fitting.ngram.regularisation,
        "ngram_min_documents": fitting.ngram.min_documents,
        "ngram_max_features": fitting.ngram.max_features,
        "tabular_learning_rate": fitting.tabular.learning_rate,
        "tabular_leaves": fitting.tabular.leaves,
        "tabular_leaf_texts": fitting.tabular.leaf_texts,
        "encoder_learning_rate": fitting.encoder.learning_rate,
        "encoder_batch_size": fitting.encoder.batch_size,
        "encoder_layers": fitting.encoder.trained_layers,
        "encoder_tail": fitting.encoder.window.tail,
        "ensemble": fitting.ensemble,
    }
    if fitting.cascade is not None:
        named["cascade_tolerance"] = fitting.cascade.tolerance
        named["cascade_doubt"] = fitting.cascade.doubt
    return {name: str(value) for name, value in named.items()}


def fit_ngram_bundle(
    table: Path,
    column: str,
    bundle: Path,
    settings: NgramTraining,
    *,
    false_positive_rate: float = 0.01,
    seed: int = 0,
    processes: int = 1,
    stage: Stage = lambda _: None,
) -> Manifest:
    """Fit the n-grams alone on a table that may exceed memory, and write their bundle.

    Args:
        table: a split table: a dataset of shards, or a single file.
        column: the split.
        bundle: where it goes; replaced whole or left as it was. The fit's files, some 20 KB a
            training text, lie beside it meanwhile.
        settings: of the fit.
        false_positive_rate: on validation, at which the threshold is put.
        seed: of the draw of validation texts, where there are more than are needed.
        processes: that read the table at once.
        stage: is told what begins, and gives what is told how far it is.

    Raises:
        DataError: the table cannot be read.
        TrainingError: the split lacks a class in a part, or the model cannot be fitted.
    """
    _refuse(small_columns(table, ("label", column)), column)
    bundle.absolute().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".fitting-", dir=bundle.absolute().parent) as scratch:
        model = fit_ngram_stream(
            table,
            column=column,
            settings=settings,
            processes=processes,
            work=Path(scratch),
            stage=lambda name: stage(name) or (lambda _, __: None),
        )
        model.save(Path(scratch) / "ngram")
        stage("Calibrate")
        fingerprint = DataManifest.load(table).fingerprint if is_sharded(table) else "unknown"
        return assemble(
            bundle,
            {"ngram": Path(scratch) / "ngram"},
            Labelled.of_part(table, column, "validation", most=_VALIDATION_TEXTS, seed=seed),
            false_positive_rate=false_positive_rate,
            origin=Origin(
                source_revision=source_revision(),
                data_fingerprint=fingerprint,
                parameters={"models": "n-grams alone", "seed": str(seed)},
            ),
        )


def _refuse(messages: pd.DataFrame, column: str) -> None:
    if column not in messages or not has_both(messages, column):
        raise TrainingError(
            f"The split {column!r} has no training and validation part with both classes.",
            "Give a table that `rampart data prepare` wrote, and the name of its split.",
        )
