"""`rampart evaluate`: a bundle on a user's own labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rampart.cli.bundle import Bundle
from rampart.cli.console import columns, err, out, print_json, progress
from rampart.cli.data import URI_HELP, Json, LabelColumn, TextColumn, read_source
from rampart.errors import InputError


def evaluate(
    bundle: Bundle,
    *,
    data: Annotated[str, typer.Option(help=URI_HELP)],
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    report: Annotated[Path | None, typer.Option(help="Write the HTML report there.")] = None,
    resamples: Annotated[int, typer.Option(min=10, help="Behind each interval.")] = 1000,
    as_json: Json = False,
) -> None:
    """Measure a bundle on labelled messages, with 95 % intervals."""
    from rampart.assessment import assess
    from rampart.assessment import report as rendered
    from rampart.data.preparation import prepare, reason_counts
    from rampart.data.step import concat_rejects
    from rampart.evaluation.intervals import shown
    from rampart.evaluation.metrics import METRICS
    from rampart.inference.engine import Engine

    engine = Engine.load(bundle)
    raw = read_source(data, text_column, label_column)
    prepared = prepare(raw.rows)
    with progress("Scoring") as tell:
        section = assess(
            engine,
            prepared.rows,
            ("All rows", f"Every usable row of {data}."),
            resamples=resamples,
            on_progress=tell,
        )
    measured = section.evaluation
    rejects = concat_rejects(raw.rejects, prepared.rejects)
    if report is not None:
        _write(report, rendered(engine.manifest, [section], data))
    if as_json:
        print_json(measured.model_dump(mode="json") | {"rejects": reason_counts(rejects)})
        return
    table = columns(
        f"{measured.rows:,} messages of {measured.campaigns:,} campaigns, "
        f"{measured.positives:,} threats",
        "",
        *measured.models,
    )
    for metric, about in METRICS.items():
        figures = [measured.headline(model)[metric] for model in measured.models]
        table.add_row(about.title, *(shown(figure) for figure in figures))
    out.print(table)
    for reason, count in reason_counts(rejects).items():
        err.print(f"{count:,} rows left out: {reason}")
    if report is not None:
        err.print(f"Report: {report}")


def _write(report: Path, html: str) -> None:
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{report} cannot be written: {error.strerror}.", "Name another --report."
        ) from error
