"""Calibrate the models, weigh their votes, and seal them in a bundle."""

from kfp import dsl

from components.definition import component


@component
def combine(
    table: dsl.Input[dsl.Dataset],
    column: str,
    ngram: dsl.Input[dsl.Model],
    tabular: dsl.Input[dsl.Model],
    encoder: dsl.Input[dsl.Model],
    ensemble: str,
    cascade_tolerance: float,
    cascade_doubt: float,
    false_positive_rate: float,
    fingerprint: str,
    encoder_sample: int,
    encoder_layers: int,
    encoder_epochs: int,
    encoder_learning_rate: float,
    encoder_batch_size: int,
    encoder_tail: int,
    seed: int,
    candidate: dsl.Output[dsl.Model],
) -> None:
    """Calibrate and combine on the validation part, and write the bundle.

    Args:
        table: split messages.
        column: the split that the models were trained on.
        ngram: folder of the n-gram model.
        tabular: folder of the tabular model.
        encoder: folder of the served encoder; where it is empty, so is the candidate's.
        ensemble: voting, soft, stacking, or shares of the vote, as ngram=0.4,encoder=0.6.
        cascade_tolerance: share of campaigns in which the quick models alone may turn a right
            verdict wrong; 0 asks all models of every text.
        cascade_doubt: probability of error at which the quick models alone still settle a text, at
            the most.
        false_positive_rate: on the validation part, at which decision thresholds are put.
        fingerprint: of the data.
        encoder_sample: as the encoder was trained; this and the following for the bundle's reader.
        encoder_layers: likewise.
        encoder_epochs: likewise.
        encoder_learning_rate: likewise.
        encoder_batch_size: likewise.
        encoder_tail: likewise.
        seed: likewise.
        candidate: the bundle.
    """
    from pathlib import Path

    from rampart.bundle.build import Origin, assemble
    from rampart.bundle.revision import source_revision
    from rampart.data.labelled import Labelled
    from rampart.data.tables import read_table
    from rampart.ensembles.cascade import CascadeSettings
    from rampart.training.combination import combination

    folder = Path(candidate.path)
    if not any(Path(encoder.path).iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        return
    messages = read_table(table.path)
    train, validation = (Labelled.part(messages, column, part) for part in ("train", "validation"))
    manifest = assemble(
        folder,
        {"ngram": Path(ngram.path), "tabular": Path(tabular.path), "encoder": Path(encoder.path)},
        validation,
        combine=combination(ensemble, train, validation, seed=seed),
        cascade=CascadeSettings(tolerance=cascade_tolerance, doubt=cascade_doubt),
        false_positive_rate=false_positive_rate,
        origin=Origin(
            source_revision=source_revision(),
            data_fingerprint=fingerprint,
            parameters={
                "encoder trained on": f"{encoder_sample} messages" if encoder_sample else "all",
                "encoder layers trained": str(encoder_layers),
                "encoder epochs at most": str(encoder_epochs),
                "seed": str(seed),
                # By the pipeline's own names, for the next study to start from.
                **{
                    name: str(value)
                    for model in (ngram, tabular)
                    for name, value in model.metadata.items()
                    if name.startswith(("ngram_", "tabular_"))
                },
                "encoder_learning_rate": str(encoder_learning_rate),
                "encoder_batch_size": str(encoder_batch_size),
                "encoder_layers": str(encoder_layers),
                "encoder_tail": str(encoder_tail),
                "ensemble": ensemble,
                "cascade_tolerance": str(cascade_tolerance),
                "cascade_doubt": str(cascade_doubt),
            },
        ),
    )
    candidate.metadata.update(id=manifest.id, threshold=manifest.threshold)
