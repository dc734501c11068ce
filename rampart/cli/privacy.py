"""`rampart privacy`: what personal data texts hold, and the texts without it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rampart.cli.console import columns, err, facts, out, print_json, progress, written
from rampart.cli.data import URI_HELP, Json, TextColumn, Uri
from rampart.errors import InputError

if TYPE_CHECKING:
    from rampart.data.sources.stream import Record
    from rampart.features.privacy import Detector, Finding, Replaced

app = typer.Typer(help="Find personal data in texts, and take it out.", no_args_is_help=True)


@app.command()
def report(
    uri: Uri,
    *,
    text_column: TextColumn = "text",
    texts: Annotated[int, typer.Option(min=1, help="Texts to read at the most.")] = 1000,
    as_json: Json = False,
) -> None:
    """Count what personal data texts hold, and say which features may leave the house.

    A feature may leave where each of its values, or each tenth of them, is shared by five texts.
    It counts and never quotes.
    """
    from rampart.features.disclosure import privacy_report
    from rampart.features.security import SecurityFeatures

    with progress("Looking for personal data") as tell:
        found = privacy_report(_first(uri, text_column, texts, tell), [SecurityFeatures()])
    if not found.texts + found.failed:
        raise InputError(f"{uri} holds no text.", "Name a source that holds some.")
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    out.print(facts({"texts": found.texts, "could not be read": found.failed}))
    table = columns("\nPersonal data", "", ">findings", ">texts that hold any")
    for kind, count in sorted(found.found.items(), key=lambda pair: -pair[1]):
        table.add_row(kind, f"{count:,}", f"{found.holding[kind]:.1%}")
    out.print(table)
    verdicts = Counter(feature.verdict for feature in found.features)
    out.print(facts({f"\nFeatures that {_WORDS[name]}": n for name, n in verdicts.items()}))
    table = columns("", "feature", "", "because")
    for feature in found.features:
        table.add_row(feature.feature, feature.verdict, feature.reason)
    out.print(table)


_WORDS = {
    "as it is": "may leave as they are",
    "in tenths": "may leave in tenths",
    "stays": "have to stay",
}


@app.command()
def redact(
    *,
    input_: Annotated[str, typer.Option("--input", help=URI_HELP)],
    output: Annotated[str, typer.Option(help="JSONL file for the texts; - to print them.")],
    key: Annotated[
        Path | None,
        typer.Option(help="File of at least 16 random bytes: gives stable pseudonyms."),
    ] = None,
    text_column: TextColumn = "text",
    id_column: Annotated[str, typer.Option(help="Column with the ids, for tables.")] = "id",
) -> None:
    """Put kinds, or with a key pseudonyms, in the place of personal data: one JSON line a text.

    It misses some: what comes out is safer, not safe.
    """
    from rampart.data.sources.stream import stream_texts
    from rampart.features.privacy import Detector

    replace = _replace(key)
    detector = Detector()
    counts: Counter[str] = Counter()
    texts = unusable = 0
    with written(output) as lines, err.status("Redacting") as status:
        for record in stream_texts(input_, text_column=text_column, id_column=id_column):
            line = _line(record, detector, replace, counts)
            unusable += record.text is None
            texts += record.text is not None
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
            status.update(f"Redacting: {texts:,} texts")
    found = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common()) or "nothing"
    err.print(f"{texts:,} texts, {unusable:,} rows unusable; replaced: {found}.")


def _replace(key: Path | None) -> Callable[[str, list[Finding]], Replaced]:
    from rampart.features.privacy import check_key, pseudonymise
    from rampart.features.privacy import redact as taken_out

    if key is None:
        return taken_out
    try:
        secret = key.read_bytes()
    except OSError as error:
        raise InputError(
            f"The key {key} cannot be read: {error.strerror}.", "Name a file of random bytes."
        ) from error
    check_key(secret)
    return lambda text, findings: pseudonymise(text, findings, secret)


def _line(
    record: Record,
    detector: Detector,
    replace: Callable[[str, list[Finding]], Replaced],
    counts: Counter[str],
) -> dict[str, object]:
    if record.text is None:
        return {"id": record.id, "error": record.problem}
    findings = detector.find(record.text)
    counts.update(one.kind for one in findings)
    return {"id": record.id, "text": replace(record.text, findings).text}


def _first(
    uri: str, text_column: str, most: int, tell: Callable[[int, int], None]
) -> Iterator[str]:
    """At most so many texts, one by one; it is told when the next one is asked for."""
    for done, text in enumerate(islice(_texts(uri, text_column, most), most), 1):
        yield text
        tell(done, most)


def _texts(uri: str, text_column: str, most: int) -> Iterable[str]:
    from rampart.data.sources import CORPORA, read
    from rampart.data.sources.stream import stream_texts
    from rampart.settings import settings

    if uri not in CORPORA:
        records = stream_texts(uri, text_column=text_column)
        return (record.text for record in records if record.text is not None)
    from rampart.data.preparation import prepare

    rows = prepare(read(uri, cache=settings().cache_dir).rows).rows
    drawn: list[str] = rows["text"].sample(min(most, len(rows)), random_state=0).tolist()
    return drawn
