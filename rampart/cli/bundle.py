"""`rampart bundle`: what a bundle holds, and whether it is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rampart.cli.console import columns, facts, out, print_json, printable
from rampart.errors import InputError

app = typer.Typer(help="Look at a model bundle and check it.", no_args_is_help=True)

Bundle = Annotated[Path, typer.Argument(help="Folder of the bundle, as the pipeline wrote it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        envvar="RAMPART_MODEL_CACHE", help="Folder of the cache; the user's cache folder if unset."
    ),
]
_SHOWN = ("f1", "pr_auc", "recall_at_1_fpr", "recall_at_01_fpr", "brier", "calibration_error")


@app.command()
def show(bundle: Bundle, *, as_json: Json = False) -> None:
    """Show models, thresholds, weights and figures."""
    from rampart.bundle.store import read_cascade, read_manifest

    manifest = read_manifest(bundle)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    out.print(
        facts(
            {
                "id": manifest.id,
                "created": manifest.created.isoformat(),
                "code": manifest.source_revision,
                "data": manifest.data_fingerprint,
                "labels": " and ".join(manifest.labels),
                "threshold": f"{manifest.threshold:.4f}",
                **manifest.parameters,
            }
        )
    )
    models = columns("\nModels", "name", "kind", ">ms a text", ">threshold", ">weight", ">bytes")
    weights = manifest.ensemble.stages[-1].weights
    for model in manifest.models:
        size = sum(
            entry.size
            for name, entry in manifest.files.items()
            if name.startswith(f"{model.folder}/")
        )
        models.add_row(
            model.name,
            model.kind,
            f"{model.cost:.2f}",
            f"{model.threshold:.4f}",
            f"{weights.get(model.name, 0.0):.3f}",
            f"{size:,}",
        )
    out.print(models)
    for stage in manifest.ensemble.stages[:-1]:
        if stage.unsure is not None:
            low, high = stage.unsure
            out.print(
                f"\n{stage.name} settles what it gives less than {low:g} or more than {high:g}; "
                "the rest is settled by all."
            )
    if cascade := read_cascade(bundle):
        out.print(printable(cascade.reason))
    if manifest.metrics:
        figures = columns(
            "\nFigures of the whole on the test part", "slice", *map(">{}".format, _SHOWN)
        )
        for name, metrics in manifest.metrics.items():
            figures.add_row(name, *(_number(metrics.get(metric)) for metric in _SHOWN))
        out.print(figures)


@app.command()
def verify(bundle: Bundle, *, as_json: Json = False) -> None:
    """Check every file against its hash, and that every model answers."""
    from rampart.inference.engine import Engine

    engine = Engine.load(bundle)
    engine.warm_up()
    manifest = engine.manifest
    if as_json:
        print_json({"id": manifest.id, "files": len(manifest.files), "whole": True})
        return
    out.print(f"{bundle} is whole: {len(manifest.files)} files, id {manifest.id}")


@app.command()
def fetch(
    address: Annotated[str, typer.Argument(help="Of the bundle, such as s3://bucket/bundle.")],
    *,
    folder: CacheFolder = None,
) -> None:
    """Fetch a bundle into the cache that servers read, check it, and say where it is."""
    from rampart.bundle.cache import BundleCache
    from rampart.cli.console import progress

    with progress("Fetching the bundle") as told:
        held = BundleCache(_cache_folder(folder)).bundle(address, told)
    held.release()
    out.print(printable(str(held.folder)), soft_wrap=True)


@app.command()
def cache(
    *,
    folder: CacheFolder = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove what no process is using.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what the cache holds: fetched bundles, and graphs as this machine computes them."""
    from datetime import UTC, datetime

    from rampart.bundle.cache import BundleCache

    kept = BundleCache(_cache_folder(folder))
    gone = kept.clear() if clear else []
    entries = kept.entries()
    if as_json:
        print_json({"folder": str(kept.folder), "entries": [asdict(entry) for entry in entries]})
        return
    if clear:
        out.print(f"Removed {len(gone)}, {sum(entry.size for entry in gone):,} bytes.")
    table = columns(str(kept.folder), "kind", "name", ">bytes", "used", "in use")
    for entry in entries:
        used = datetime.fromtimestamp(entry.used, UTC).isoformat(" ", "minutes")
        held = "yes" if entry.held else ""
        table.add_row(entry.kind, entry.name[:16], f"{entry.size:,}", used, held)
    out.print(table)


@app.command()
def export(
    bundle: Bundle,
    folder: Annotated[Path, typer.Argument(help="To write; it must not exist.")],
    *,
    form: Annotated[
        str, typer.Option("--format", help="mlserver, torchserve or triton.")
    ] = "mlserver",
    name: Annotated[str, typer.Option(help="Of the model there.")] = "rampart",
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER: a trained network, from the pipeline's step train-attribution, that "
            "TorchServe runs as TorchScript in place of the bundle's encoder NAME."
        ),
    ] = None,
) -> None:
    """Write a bundle for another server."""
    from serving.export import Export
    from serving.export import export as write

    networks = {}
    for given in network or ():
        model, equals, place = given.partition("=")
        if not (model and equals and place):
            raise InputError(f"{given!r} names no network.", "Write encoder=FOLDER.")
        networks[model] = Path(place)
    out.print(f"Wrote {write(Export(bundle, name, networks), folder, form)}", soft_wrap=True)


def _cache_folder(given: Path | None) -> Path:
    from rampart.settings import user_cache

    return given or user_cache() / "models"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
