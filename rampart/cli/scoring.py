"""`rampart score` and `rampart explain`: verdicts from a bundle, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from rampart.cli.bundle import Bundle
from rampart.cli.console import columns, err, out, print_json, written
from rampart.cli.data import URI_HELP, Json
from rampart.cli.highlight import highlighted

_BATCH = 64
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Probability from which a text is a threat; the bundle's own."),
]
Models = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Models to ask, with commas between them, or all; the ensemble if unset.",
    ),
]
TopK = Annotated[int, typer.Option(min=0, help="Spans kept of each explanation.")]


def score(
    bundle: Bundle,
    *,
    input_: Annotated[str, typer.Option("--input", help=URI_HELP)],
    output: Annotated[str, typer.Option(help="JSONL file for the verdicts; - to print them.")],
    text_column: Annotated[str, typer.Option(help="Column with the texts, for tables.")] = "text",
    id_column: Annotated[str, typer.Option(help="Column with the ids, for tables.")] = "id",
    top_k: TopK = 10,
    threshold: Threshold = None,
    models: Models = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if unset.")] = None,
) -> None:
    """Score texts of any number in constant memory: one line of JSON each, in their order.

    A row that cannot be used gets a line with its id and an error, and is counted at the end.
    """
    from rampart.data.sources.stream import Record, stream_texts
    from rampart.inference.engine import Engine

    engine = Engine.load(bundle, threads=threads)
    records: Iterator[Record] = iter(
        stream_texts(input_, text_column=text_column, id_column=id_column)
    )
    done = unusable = 0
    with written(output) as lines, err.status("Scoring") as status:
        while batch := list(islice(records, _BATCH)):
            texts = [record.text for record in batch if record.text is not None]
            verdicts = iter(
                engine.score(texts, top_k=top_k, threshold=threshold, models=_names(models))
            )
            for record in batch:
                line: dict[str, Any] = {"id": record.id}
                if record.text is None:
                    unusable += 1
                    line["error"] = record.problem
                else:
                    line |= next(verdicts).as_document()
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
            done += len(batch)
            status.update(f"Scoring: {done:,} texts")
    err.print(f"{done - unusable:,} texts scored, {unusable:,} rows unusable.")


def explain(
    bundle: Bundle,
    *,
    text: Annotated[str, typer.Option(help="The text, as it would be sent; - reads it.")],
    top_k: TopK = 10,
    threshold: Threshold = None,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Say what a text is and which of its spans weighed most."""
    from rampart.inference.engine import Engine

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    [verdict] = Engine.load(bundle).score(
        [text], top_k=top_k, threshold=threshold, models=_names(models)
    )
    if as_json:
        print_json(verdict.as_document())
        return
    parts = verdict.explanation
    out.print(
        f"{verdict.label}  probability {verdict.probability:.4f}  logit {verdict.logit:+.3f}  "
        f"settled by {verdict.stage}\n"
    )
    if len(verdict.models) > 1:
        each = ", ".join(f"{name} {value:.4f}" for name, value in verdict.models.items())
        out.print(f"Each model alone: {each}\n")
    out.print(highlighted(text, parts))
    table = columns("\nWhat the logit is made of", ">adds", "span")
    for start, end, value in _spans(parts.start, parts.end, parts.value):
        table.add_row(f"{value:+.3f}", repr(text[start:end])[1:-1])
    table.add_row(f"{parts.bias:+.3f}", "(everything else)")
    table.add_row(f"{verdict.logit:+.3f}", "(the logit)")
    out.print(table)


def _names(models: str | None) -> list[str] | None:
    return None if models is None else [name.strip() for name in models.split(",")]


def _spans(*arrays: Iterable[Any]) -> Iterator[tuple[int, int, float]]:
    for start, end, value in zip(*arrays, strict=True):
        yield int(start), int(end), float(value)
