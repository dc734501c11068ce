"""`rampart train`: a bundle from a split table, in one process or in each replica of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rampart.cli.console import err, facts, out, print_json
from rampart.cli.data import Json
from rampart.features.pretrained import PACKAGED_BASE

_TELL_EVERY = 0.1


def train(
    table: Annotated[
        Path, typer.Option(help="Split messages, as the pipeline's step writes them.")
    ],
    bundle: Annotated[Path, typer.Option(help="Folder that the bundle goes to.")],
    *,
    column: Annotated[str, typer.Option(help="The split: split or time_split.")] = "split",
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
    from rampart.data.tables import read_table
    from rampart.ensembles.cascade import CascadeSettings
    from rampart.fitting import Fitting, fit_bundle
    from rampart.models.encoder import WindowSettings
    from rampart.training.attribution import AttributionTraining
    from rampart.training.encoder import EncoderTraining
    from rampart.training.ngram import NgramTraining
    from rampart.training.tabular import TabularTraining

    head = AttributionTraining(texts=attribution_texts, seed=seed) if attribution_texts else None
    fitting = Fitting(
        encoder=EncoderTraining(
            base=base,
            window=WindowSettings(tokens=tokens, tail=tail),
            sample=sample or None,
            trained_layers=layers,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
        ),
        ngram=NgramTraining(),
        tabular=TabularTraining(seed=seed),
        attribution=head,
        ensemble=ensemble,
        cascade=CascadeSettings(tolerance=cascade_tolerance),
    )
    manifest = fit_bundle(read_table(table), column, bundle, fitting, stage=_Lines())
    if manifest is None:
        return
    found = {"bundle": str(bundle), "id": manifest.id, "threshold": manifest.threshold}
    print_json(found) if as_json else out.print(facts(found))


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
        share = done / max(total, 1)
        if share >= self.told + _TELL_EVERY:
            self.told = share
            err.print(f"{self.name}: {share:.0%}")
