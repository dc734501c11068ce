"""`rampart stream watch` and `rampart stream demo`: a stream as it runs, in a live table."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rampart.cli.console import columns, err, out, printable, progress
from rampart.errors import PipelineError, StreamError
from rampart.settings import checked

if TYPE_CHECKING:
    from rampart.streaming.board import Board
    from rampart.streaming.connection import Connection
    from rampart.streaming.events import Received
    from rampart.streaming.sending import Sender
    from serving.stream.settings import BrokerSettings

Broker = Annotated[
    str | None,
    typer.Option(help="Addresses of the broker, by commas; 127.0.0.1:9092 if unset."),
]
Prefix = Annotated[
    str | None,
    typer.Option("--topics", help="What the topics' names begin with; mail if unset."),
]
_TELL_SECONDS = 0.5
_LINE_SECONDS = 5.0
_QUIET_SECONDS = 10.0
_BEHIND_SECONDS = 6.0
_STOP_SECONDS = 30.0
_CAMPAIGNS = 5
_WORDS = 3


def watch(
    *,
    seconds: Annotated[float, typer.Option(help="To look for; 0 for until Ctrl-C.", min=0)] = 0.0,
    whole: Annotated[
        bool, typer.Option("--whole", help="Count from the topics' beginning, not from now.")
    ] = False,
    broker: Broker = None,
    topics_: Prefix = None,
) -> None:
    """Show a stream as it runs: rate, latency, threats, dead letters and campaigns.

    Campaigns are those that `rampart stream analyse` finds.
    """
    from rampart.streaming.board import Board, Watcher

    known = settings_of(broker, topics_)
    board = Board()
    watcher = Watcher(known.connection(), known.names(), board, whole=whole)
    until = time.monotonic() + seconds if seconds else float("inf")
    try:
        _show(board, watcher.read, lambda: time.monotonic() >= until, known.names().verdicts)
    finally:
        watcher.close()


def demo(
    *,
    rate: Annotated[float, typer.Option(help="Mails a second.", min=0.1)] = 40.0,
    limit: Annotated[int, typer.Option(help="Mails at the most; 0 for all.", min=0)] = 3_000,
    bundle: Annotated[
        Path | None,
        typer.Option(help="That scores; the demo's if it is there, else a quick one is trained."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("build/stream"),
    broker: Broker = None,
) -> None:
    """Stream the corpus's mails, as they arrived, through a broker and watch what becomes of them.

    Scorer and analytics run as processes of their own, on topics of their own. `make stream-demo`
    starts a broker for it. Afterwards the Parquet files in the folder can be looked into.
    """
    from rampart.data.sources import SPAM_ASSASSIN, read
    from rampart.streaming.board import Board, Watcher
    from rampart.streaming.connection import create_topics
    from rampart.streaming.sending import Sender, by_arrival, paced

    prefix = f"demo-{int(time.time())}"
    known = settings_of(broker, prefix)
    connection, names = known.connection(), known.names()
    # Before anything that takes long.
    create_topics(connection, names, partitions=4, days=1)
    chosen = bundle or _bundle(folder)
    with progress("Reading the corpus") as tell:
        raw = read(SPAM_ASSASSIN, on_progress=tell).rows
    rows = zip(*(raw[name].tolist() for name in ("id", "group", "raw", "text")), strict=True)
    # The newest: among the oldest there is hardly any ham.
    messages = list(by_arrival(rows))[-limit:]
    table = folder / "table" / prefix
    board = Board()
    with ExitStack() as held:
        with err.status("Starting the scorer and the analytics"):
            held.enter_context(_process(connection, prefix, folder, "score", str(chosen)))
            more = ["--table", str(table), "--state", str(folder / "state" / prefix)]
            held.enter_context(_process(connection, prefix, folder, "analyse", *more))
        watcher = Watcher(connection, names, board, whole=True)
        held.callback(watcher.close)
        sender = Sender(connection, names.received, "/rampart/demo")
        stop = threading.Event()
        held.callback(stop.set)
        feed = threading.Thread(
            target=_feed, args=(sender, paced(iter(messages), rate, stopped=stop.is_set))
        )
        feed.start()
        held.callback(feed.join)
        done = _Done(board, sender, len(messages))
        _show(board, watcher.read, done, names.verdicts)
        stop.set()
    _tell(board, table)


class _Done:
    """Whether every mail was answered, or nothing more comes."""

    def __init__(self, board: Board, sender: Sender, wanted: int) -> None:
        self._board = board
        self._sender = sender
        self._wanted = wanted
        self._answered = 0
        self._last = time.monotonic()

    def __call__(self) -> bool:
        answered = self._board.verdicts + sum(self._board.letters.values())
        now = time.monotonic()
        if answered != self._answered or self._sender.sent < self._wanted:
            self._answered, self._last = answered, now
        # The analytics are a few seconds behind.
        wait = _BEHIND_SECONDS if answered >= self._wanted else _QUIET_SECONDS
        return now - self._last > wait


def _feed(sender: Sender, messages: Iterator[tuple[str, Received]]) -> None:
    for identity, data in messages:
        sender.send(data, identity)
    sender.flush()


def _bundle(folder: Path) -> Path:
    """The demo's bundle, or one that is trained in a minute."""
    whole, quick = Path("build/demo/bundle"), folder / "bundle"
    for found in (whole, quick):
        if (found / "bundle.json").exists():
            return found
    err.print("There is no bundle yet: a quick one of the n-grams alone is trained.")
    table = folder / "messages"
    for call in (
        ["data", "prepare", "spam-assassin", "--output", str(table)],
        ["train", "--table", str(table), "--bundle", str(quick), "--only", "ngram"],
    ):
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "rampart.cli", *call], check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise PipelineError(
                "The quick bundle was not trained.", "What was wrong is said above."
            )
    return quick


@contextmanager
def _process(
    connection: Connection, prefix: str, folder: Path, *call: str
) -> Iterator[subprocess.Popen[str]]:
    """A command of ours in a process of its own, from when it says that it works till the end."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{call[0]}.log"
    command = [sys.executable, "-m", "rampart.cli", "stream", *call, "--http-port", "0"]
    command += ["--broker", connection.bootstrap, "--topics", prefix]
    with log.open("w") as file:
        process = subprocess.Popen(  # noqa: S603 - as above
            command,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            # Ctrl-C is for this process, which then ends the others.
            start_new_session=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise StreamError(f"`rampart stream {call[0]}` did not start.", f"See {log}.")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


# --- what is shown ----------------------------------------------------------------------------


def _show(
    board: Board, read: Callable[[float], None], done: Callable[[], bool], topic: str
) -> None:
    """Show the board until it is done or somebody presses Ctrl-C; lines where nobody watches."""
    try:
        if err.is_terminal:
            with Live(console=err, auto_refresh=False, transient=True) as live:
                while not done():
                    read(_TELL_SECONDS)
                    live.update(Group(*_panels(board, topic)), refresh=True)
        else:
            last = 0.0
            while not done():
                read(_TELL_SECONDS)
                if time.monotonic() - last > _LINE_SECONDS:
                    last = time.monotonic()
                    err.print(_line(board))
    except KeyboardInterrupt:
        return


def _line(board: Board) -> str:
    now = time.time()
    share = board.threats / board.verdicts if board.verdicts else 0.0
    return (
        f"{board.verdicts} verdicts, {board.rate(now):.0f} a second, "
        f"p50 {board.latency(0.5) * 1e3:.0f} ms, p99 {board.latency(0.99) * 1e3:.0f} ms, "
        f"{share:.1%} threats, {sum(board.letters.values())} dead letters, "
        f"{len(board.campaigns)} campaigns"
    )


def _panels(board: Board, topic: str) -> Sequence[Table | Text]:
    figures = columns(topic, ">verdicts", ">a second", ">p50", ">p99", ">threats", ">dead letters")
    share = board.threats / board.verdicts if board.verdicts else 0.0
    figures.add_row(
        str(board.verdicts),
        f"{board.rate(time.time()):.0f}",
        f"{board.latency(0.5) * 1e3:.0f} ms",
        f"{board.latency(0.99) * 1e3:.0f} ms",
        f"{share:.1%}",
        str(sum(board.letters.values())),
    )
    return [figures, Text(), _campaigns(board), Text(), _threats(board)]


def _campaigns(board: Board) -> Table:
    table = columns("Largest campaigns of a day", ">mails", ">threats", ">this hour", "first mail")
    for one in board.largest(_CAMPAIGNS):
        table.add_row(
            str(one["messages"]), str(one["threats"]), str(one["hour"]), printable(one["campaign"])
        )
    return table


def _threats(board: Board) -> Table:
    table = columns("Latest threats", "mail", ">probability", "settled by", "what weighed most")
    for verdict in board.latest:
        spans = sorted(verdict.spans, key=lambda span: -span.contribution)[:_WORDS]
        words = " | ".join(" ".join(span.text.split()) for span in spans)
        table.add_row(
            printable(verdict.message)[:40],
            f"{verdict.probability:.4f}",
            verdict.stage,
            printable(words)[:60],
        )
    return table


def _tell(board: Board, table: Path) -> None:
    for panel in (_campaigns(board), Text(), _threats(board), Text()):
        out.print(panel)
    out.print(_line(board))
    if table.exists():
        out.print(f"\nEach verdict is a row of {table}/*.parquet, with its campaign.")


def settings_of(broker: str | None, names: str | None) -> BrokerSettings:
    """How the broker is reached, and the topics' names: what was given, else the environment's."""
    from serving.stream.settings import BrokerSettings

    found: BrokerSettings = checked(BrokerSettings, broker=broker, topics=names)
    return found
