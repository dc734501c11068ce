"""`rampart stream send`, `smtp` and `folder`: the ways in for messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rampart.cli.console import out, progress
from rampart.cli.stream_live import Broker, Prefix, settings_of
from rampart.settings import checked


def send(
    source: Annotated[
        str, typer.Argument(help="Where messages are, as for `rampart data describe`.")
    ] = "spam-assassin",
    *,
    rate: Annotated[
        float, typer.Option(help="Messages a second; 0 for as fast as it goes.", min=0)
    ] = 20.0,
    limit: Annotated[int, typer.Option(help="Messages at the most; 0 for all.", min=0)] = 0,
    broker: Broker = None,
    topics_: Prefix = None,
) -> None:
    """Send a source's messages as received events, those first that arrived first."""
    from itertools import islice

    from rampart.data.sources import read
    from rampart.streaming.sending import Sender, by_arrival, paced

    known = settings_of(broker, topics_)
    sender = Sender(known.connection(), known.names().received, "/rampart/send")
    with progress("Reading") as tell:
        raw = read(source, on_progress=tell).rows
    rows = zip(*(raw[name].tolist() for name in ("id", "group", "raw", "text")), strict=True)
    whole = min(limit or len(raw), len(raw))
    with progress(f"Sending to {known.names().received}") as tell:
        for number, (identity, data) in enumerate(
            islice(paced(by_arrival(rows), rate), whole), start=1
        ):
            sender.send(data, identity)
            tell(number, whole)
        sender.flush()
    out.print(f"{sender.sent} messages sent.")


def smtp(
    *,
    port: Annotated[
        int | None, typer.Option(help="Port; 8025 if unset, 0 takes a free one.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if unset.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Given to each mail, for figures to tell apart.")
    ] = None,
    broker: Broker = None,
    topics_: Prefix = None,
) -> None:
    """Take mails over SMTP, as a mail server sends copies, and make received events of them.

    A mail is acknowledged when the broker has it; nothing is relayed. Limits and TLS are read from
    RAMPART_STREAM_* variables: MAX_MAIL_BYTES, MAX_RECIPIENTS, CONNECTIONS, TLS_CERTIFICATE,
    TLS_KEY.
    """
    from serving.mail.settings import SmtpSettings

    settings = checked(
        SmtpSettings, port=port, host=host, category=category, broker=broker, topics=topics_
    )
    from serving.mail.smtp import serve

    serve(settings)


def folder(
    path: Annotated[Path, typer.Argument(help="Where mails are put, one .eml file each.")],
    *,
    category: Annotated[
        str | None, typer.Option(help="Given to each mail, for figures to tell apart.")
    ] = None,
    broker: Broker = None,
    topics_: Prefix = None,
) -> None:
    """Take mails from a folder as they are put there, and make received events of them.

    What was taken is moved to the folder `taken` in it, what cannot be to `refused`.
    """
    from serving.mail.settings import FolderSettings

    settings = checked(
        FolderSettings, folder=path, category=category, broker=broker, topics=topics_
    )
    from serving.mail.folder import serve

    serve(settings)
