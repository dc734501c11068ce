"""`rampart tune`: search for parameters, follow the search, and take what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rampart.cli.console import columns, err, out, print_json, progress
from rampart.cli.data import Json
from rampart.cli.pipeline import parameters_of
from rampart.cli.studies import Shown, lines, print_final, print_study
from rampart.errors import InputError
from rampart.settings import settings

if TYPE_CHECKING:
    from rampart.tuning.final import Final

app = typer.Typer(
    help="Search for the training pipeline's parameters in studies that go on where they stopped.",
    no_args_is_help=True,
)

Storage = Annotated[
    str,
    typer.Option(
        envvar="RAMPART_TUNING_STORAGE",
        help="Where studies lie: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/DATABASE.",
    ),
]
Name = Annotated[str, typer.Argument(help="Name of the study.")]
Table = Annotated[Path, typer.Option(help="Split messages, as the pipeline's step writes them.")]
Column = Annotated[str, typer.Option(help="The split: split or time_split.")]
STORAGE = "sqlite:///build/tuning/studies.db"


@app.command()
def run(
    table: Table,
    target: Annotated[
        str, typer.Option(help="What is tuned: ngram, tabular, encoder, ensemble or cascade.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Of the study; the target's by default.")] = "",
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 2,
    storage: Storage = STORAGE,
    trials: Annotated[
        int, typer.Option(help="Budget of all workers together; 0 for none.", min=0)
    ] = 0,
    seconds: Annotated[
        float,
        typer.Option(help="Of computing, summed over all workers; 0 for no limit.", min=0),
    ] = 0.0,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="recall (at 1 % false positives) or cost; repeat for both."),
    ] = None,
    sampler: Annotated[str, typer.Option(help="tpe or random.")] = "tpe",
    pruner: Annotated[
        str, typer.Option(help="asha, hyperband or none; asha by default for one objective.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the splits and of every draw.")] = 0,
    folds: Annotated[int, typer.Option(help="Campaign splits that a figure is the mean of.")] = 3,
    sample: Annotated[int, typer.Option(help="Messages for the encoder; 0 for all.")] = 0,
    epochs: Annotated[int, typer.Option(help="Of the encoder at the most.")] = 4,
    rounds: Annotated[int, typer.Option(help="Of boosting at the most.")] = 800,
    base: Annotated[
        str, typer.Option(help="Encoder to start from, as `rampart train --base`.")
    ] = "",
    model: Annotated[
        list[str] | None,
        typer.Option(help="Of an ensemble or a cascade, cheapest first; repeat."),
    ] = None,
    champion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A parameter of the champion, which is tried after the defaults; repeat.",
        ),
    ] = None,
    champion_version: Annotated[
        str,
        typer.Option(
            help="Version in the registry, by number or alias, whose parameters are tried after "
            "the defaults; MLflow's address is --tracking-uri or RAMPART_TRACKING_URI."
        ),
    ] = "",
    warm_start_from: Annotated[
        list[str] | None,
        typer.Option(help="Study of the same target whose best is tried first; repeat."),
    ] = None,
    heartbeat: Annotated[
        int, typer.Option(help="Seconds between two signs of life of a worker.")
    ] = 10,
    column: Column = "split",
    tracking_uri: Annotated[
        str, typer.Option(help="MLflow's address, where each trial becomes a run; none if empty.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Run a study, or go on with it: the same command takes it up where it was broken off.

    Trials see the training and validation parts alone, split again for each fold. What was best
    is printed as parameters of the training pipeline; `rampart tune measure` says what it is
    worth on the test part.
    """
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address
    from rampart.tuning.champion import with_champion
    from rampart.tuning.settings import StudySettings, value_of
    from rampart.tuning.studies import open_study
    from rampart.tuning.workers import run_workers

    if not trials and not seconds:
        raise InputError(
            "Neither --trials nor --seconds says when the study ends.", "Give one, or both."
        )
    given: dict[str, object] = {
        "objectives": tuple(objective or ("recall",)),
        "pruner": pruner or None,
        "trials": trials or None,
        "seconds": seconds or None,
        "warm_start_from": tuple(warm_start_from or ()),
        "parameters": {key: value_of(text) for key, text in parameters_of(champion).items()},
    }
    if model:
        given["models"] = tuple(model)
    if base:
        given["base"] = base
    asked = StudySettings.of(
        name=name or target,
        target=target,
        sampler=sampler,
        seed=seed,
        folds=folds,
        sample=sample,
        epochs=epochs,
        rounds=rounds,
        heartbeat=heartbeat,
        **given,
    )
    if champion_version:
        registry = Registry(tracking_address(tracking_uri))
        asked = with_champion(storage, asked, lambda: registry.parameters(champion_version))
        tried = " ".join(f"{key}={value}" for key, value in asked.parameters.items())
        err.print(f"Tried after the defaults: {tried or 'nothing that is searched'}.")
    open_study(storage, asked)
    with progress(f"Tuning {asked.name}") as tell:
        found = run_workers(
            storage,
            asked.name,
            table,
            workers=workers,
            cache=_cache(),
            column=column,
            tracking_uri=tracking_uri,
            tell=Shown(tell),
        )
    print_study(found, as_json=as_json)


@app.command("list")
def list_(*, storage: Storage = STORAGE, as_json: Json = False) -> None:
    """List the studies of a storage, the newest first."""
    from rampart.tuning.studies import summaries

    known = summaries(storage)
    if as_json:
        print_json([study.model_dump(mode="json") for study in known])
        return
    if not known:
        err.print(f"There is no study at {storage}.")
        return
    table = columns(None, "study", "target", "state", ">trials", ">best", "begun (UTC)")
    for study in known:
        best = study.best[0].values if study.best else {}
        table.add_row(
            study.name,
            study.target,
            study.state,
            str(sum(study.trials.values())),
            ", ".join(f"{value:.4f}" for value in best.values()) or "-",
            f"{study.started:%Y-%m-%d %H:%M}",
        )
    out.print(table)


@app.command()
def show(name: Name, *, storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show how a study stands, and its best trials."""
    from rampart.tuning.studies import summary

    print_study(summary(storage, name), as_json=as_json)


@app.command()
def stop(name: Name, *, storage: Storage = STORAGE) -> None:
    """Ask all workers of a study to stop; what they were at is tried again when it goes on."""
    from rampart.tuning.studies import stop as ask

    ask(storage, name)
    out.print(f"{name} stops at its workers' next step; `rampart tune run` goes on with it.")


@app.command()
def best(name: Name, *, storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Print the best parameters as `rampart pipeline run training` takes them."""
    from rampart.tuning.studies import best_parameters

    found = best_parameters(storage, name)
    print_json(found) if as_json else out.print("\n".join(lines(found)))


@app.command()
def measure(
    name: Name,
    table: Table,
    *,
    storage: Storage = STORAGE,
    column: Column = "split",
    as_json: Json = False,
) -> None:
    """Measure default and best parameters on the test part, which no trial has seen.

    Ask it once, when the study is over: whoever chooses between studies by it has tuned on it.
    """
    final = _measured(name, storage, table, column)
    print_json(final.model_dump(mode="json")) if as_json else print_final(final)


@app.command()
def report(
    name: Name,
    *,
    output: Annotated[
        Path | None, typer.Option(help="Page to write; build/tuning/NAME.html by default.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for the pictures as SVG files, besides.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Split messages, to measure on the test part besides.")
    ] = None,
    column: Column = "split",
    storage: Storage = STORAGE,
) -> None:
    """Write a page of a study: pictures, best trials, every trial."""
    from rampart.tuning.report import write_pictures, write_report

    final = None if table is None else _measured(name, storage, table, column)
    path = output or Path("build/tuning") / f"{name}.html"
    try:
        write_report(storage, name, path, final)
        out.print(str(path))
        if pictures is not None:
            for file in write_pictures(storage, name, pictures):
                out.print(str(file))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Name another --output."
        ) from error


def _measured(name: str, storage: str, table: Path, column: str) -> Final:
    from rampart.data.tables import read_table
    from rampart.tuning.final import measure as measured
    from rampart.tuning.studies import best_parameters, summary

    asked = summary(storage, name).settings
    found = best_parameters(storage, name)
    with progress("Fitting twice, measuring once") as tell:
        final = measured(read_table(table), asked, found, cache=_cache(), column=column)
        tell(1, 1)
    return final


def _cache() -> Path:
    from rampart.tuning.kept import cache_folder

    return cache_folder(settings().cache_dir)
