"""`rampart stream`: messages in over Kafka or HTTP, verdicts out, and what became of the rest."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rampart.cli.console import columns, err, out, print_json, printable
from rampart.cli.data import Json
from rampart.cli.stream_intake import folder, send, smtp
from rampart.cli.stream_live import Broker, Prefix, demo, settings_of, watch
from rampart.errors import InputError
from rampart.settings import checked

if TYPE_CHECKING:
    from rampart.streaming.replay import Choice
app = typer.Typer(
    help="Score messages as they come, over Kafka or as Knative sends them.",
    no_args_is_help=True,
)

app.command("send")(send)
app.command("smtp")(smtp)
app.command("folder")(folder)
app.command("watch")(watch)
app.command("demo")(demo)

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="Only letters of this reason; repeat.")
]
Port = Annotated[
    int | None,
    typer.Option(help="Port of probes, metrics and events; 8110 if unset, 0 takes a free one."),
]
_DETAIL = 70


@app.command()
def topics(
    *,
    broker: Broker = None,
    topics_: Prefix = None,
    partitions: Annotated[
        int, typer.Option(help="Of each topic: as many scorers share the work.", min=1)
    ] = 12,
    replicas: Annotated[int, typer.Option(help="Copies of each partition.", min=1)] = 1,
    days: Annotated[int, typer.Option(help="That records are kept.", min=1)] = 7,
) -> None:
    """Make the topics that are not there yet; those that are stay as they are.

    In a cluster with Strimzi, manifests/kafka has them as resources.
    """
    from rampart.streaming.connection import create_topics

    known = settings_of(broker, topics_)
    names = known.names()
    made = create_topics(
        known.connection(), names, partitions=partitions, replicas=replicas, days=days
    )
    for name in names.every:
        out.print(f"{name}  {'made' if name in made else 'is there'}")


@app.command()
def score(
    bundle: Annotated[
        str, typer.Argument(help="Folder or address of the bundle; none with --predictor.")
    ] = "",
    *,
    predictor: Annotated[
        str | None,
        typer.Option(help="Address of a predictor's gRPC, which is asked in a bundle's place."),
    ] = None,
    broker: Broker = None,
    topics_: Prefix = None,
    group: Annotated[
        str | None, typer.Option(help="Consumer group; rampart-scorer if unset.")
    ] = None,
    guarantee: Annotated[
        str | None,
        typer.Option(help="at-least-once, or exactly-once by transactions; the first if unset."),
    ] = None,
    http_port: Port = None,
) -> None:
    """Score what comes in as a member of a consumer group, until told to stop.

    What cannot be scored becomes a dead letter. Started several times, each takes its share of the
    partitions. TLS, limits and further settings are read from RAMPART_STREAM_* variables;
    `python -m serving.stream --help` lists them.
    """
    _serve(
        source="kafka",
        bundle=bundle or None,
        predictor=predictor,
        broker=broker,
        topics=topics_,
        group=group,
        guarantee=guarantee,
        http_port=http_port,
    )


@app.command()
def sink(
    bundle: Annotated[
        str, typer.Argument(help="Folder or address of the bundle; none with --predictor.")
    ] = "",
    *,
    predictor: Annotated[
        str | None,
        typer.Option(help="Address of a predictor's gRPC, which is asked in a bundle's place."),
    ] = None,
    http_port: Port = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if unset.")
    ] = None,
) -> None:
    """Score CloudEvents that are sent over HTTP, as Knative's sources and triggers send them.

    Each event is answered with the event that is its verdict.
    """
    _serve(
        source="http", bundle=bundle or None, predictor=predictor, http_port=http_port, host=host
    )


@app.command()
def analyse(
    *,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of what survives a restart; build/stream/state if unset."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Folder of Parquet files, one row for each verdict; none if unset."),
    ] = None,
    lateness_seconds: Annotated[
        float | None,
        typer.Option(help="That a message may come after its window's end; 600 if unset."),
    ] = None,
    broker: Broker = None,
    topics_: Prefix = None,
    http_port: Annotated[
        int | None, typer.Option(help="Port of metrics; 8111 if unset, 0 takes a free one.")
    ] = None,
) -> None:
    """Follow the verdicts: windows by source and category, campaigns, and a table to look into.

    Windows and campaigns are written to topics of their own. Their lengths are read from
    RAMPART_STREAM_* variables; `python -m serving.stream analytics --help` lists them.
    """
    from serving.stream.settings import AnalyticsSettings

    settings = checked(
        AnalyticsSettings,
        state=state,
        table=table,
        lateness_seconds=lateness_seconds,
        broker=broker,
        topics=topics_,
        http_port=http_port,
    )
    from serving.stream.analytics import serve as follow

    follow(settings)


@app.command()
def letters(
    *,
    reason: Reasons = None,
    limit: Annotated[int, typer.Option(help="Letters shown; the last ones.", min=1)] = 20,
    broker: Broker = None,
    topics_: Prefix = None,
    as_json: Json = False,
) -> None:
    """Show the dead letters: how many of which reason, and the last of them."""
    from rampart.streaming.replay import letters as found

    known = settings_of(broker, topics_)
    choice = _choice(reason, None, most=1_000_000)
    counts: Counter[str] = Counter()
    last: list[Any] = []
    for letter in found(known.connection(), known.names()):
        if choice.takes(letter):
            counts[letter.data.reason] += 1
            last = [*last[1 - limit :], letter] if limit > 1 else [letter]
    if as_json:
        document = {
            "count": sum(counts.values()),
            "reasons": dict(counts),
            "letters": [
                {"id": one.id, "buried": one.buried.isoformat()} | one.data.model_dump(mode="json")
                for one in last
            ],
        }
        print_json(document)
        return
    if not counts:
        out.print("There is no dead letter.")
        return
    table = columns(None, "id", "buried (UTC)", "reason", ">attempts", ">bytes", "what was wrong")
    for one in last:
        size = "-" if one.data.value is None else str(len(one.data.value))
        buried = one.buried.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        detail = printable(one.data.detail)[:_DETAIL]
        table.add_row(one.id, buried, one.data.reason, str(one.data.attempts), size, detail)
    out.print(table)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    out.print(f"\n{sum(counts.values())} letters: {told}.")


@app.command()
def replay(
    *,
    reason: Reasons = None,
    id_: Annotated[
        list[str] | None,
        typer.Option("--id", help="Only this letter, by the id that `letters` shows; repeat."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Those too that were fed back before.")
    ] = False,
    most_replays: Annotated[
        int, typer.Option(help="Pass over what came back so often already.", min=1)
    ] = 3,
    broker: Broker = None,
    topics_: Prefix = None,
) -> None:
    """Feed dead letters back, with their original bytes, to the topic that they came from.

    Each choice of reasons and ids has a place of its own up to which it was fed back, so that the
    same call again takes only what came since. A verdict has its message's id: what is scored
    twice by a replay is in one place.
    """
    from rampart.streaming.replay import replay as fed_back

    known = settings_of(broker, topics_)
    done = fed_back(
        known.connection(),
        known.names(),
        _choice(reason, id_, most=most_replays),
        again=again,
        on_letter=lambda letter: err.print(f"{letter.id}  {letter.data.reason}"),
    )
    out.print(
        f"{done.fed} letters fed back to {known.names().received}, {done.passed} passed over."
    )
    if done.unfit:
        out.print(f"{done.unfit} could not be: they hold no bytes, or came from another topic.")


@app.command()
def schemas(
    *,
    folder: Annotated[Path, typer.Option(help="Where they are written.")] = Path("docs/events"),
) -> None:
    """Write the JSON schema of each event's data, one file for each type and version."""
    import json

    from rampart.streaming.events import schemas as found

    folder.mkdir(parents=True, exist_ok=True)
    for name, document in found().items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        out.print(str(path))


def _serve(**given: Any) -> None:
    from serving.stream.settings import StreamSettings

    settings = checked(StreamSettings, **given)
    # Only now: importing the server imports what computes, which takes seconds.
    from serving.stream.server import serve

    serve(settings)


def _choice(reasons: list[str] | None, ids: list[str] | None, *, most: int) -> Choice:
    from rampart.streaming.events import Reason
    from rampart.streaming.replay import Choice

    try:
        known = frozenset(Reason(reason) for reason in reasons or ())
    except ValueError as error:
        raise InputError(f"{error}.", f"Reasons are {', '.join(Reason)}.") from None
    return Choice(known, frozenset(ids or ()), most)
