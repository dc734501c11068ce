"""What all commands print with: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rampart.errors import InputError, RampartError, outcome

# No markup and no emoji codes: what is printed holds names and texts of others.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

# C0 but for tab and line feed, DEL, C1: a terminal would obey them.
_CONTROL = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")


def printable(text: str) -> str:
    """The text with each control character, which could rule the terminal, replaced by one sign."""
    return text.translate(_CONTROL)


def fail(error: RampartError) -> int:
    """Print an error in one line; returns its exit code."""
    said = " ".join(str(error).split())
    err.print(f"error: {printable(said)}", style="red")
    return outcome(error).exit_code


def print_json(document: Any) -> None:
    """Print a document for a script."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def columns(title: str | None, *names: str) -> Table:
    """An empty table; names with a leading ">" are of numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(
            name.removeprefix(">"), justify="right" if name.startswith(">") else "left"
        )
    return table


def facts(document: Mapping[str, object]) -> str:
    """Lines of names and values; none is cut, because an address or a path is there to be used."""
    width = max(map(len, document), default=0)
    return "\n".join(
        f"{name:{width}}  {printable(str(value))}".rstrip() for name, value in document.items()
    )


@contextmanager
def progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is, for as long as the block runs; one line where nobody watches."""
    bar = Progress(
        SpinnerColumn(finished_text="done"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=err,
        transient=False,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task(description, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        yield tell
        whole = bar.tasks[0].total or 1
        bar.update(task, completed=whole, total=whole)
    if not err.is_terminal:
        err.print(f"{description}: done")


@contextmanager
def written(output: str) -> Iterator[IO[str]]:
    """Standard output, or a file that takes its name only when all of it is there."""
    if output == "-":
        yield sys.stdout
        return
    target = Path(output)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(target)
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror}.", "Name another --output."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
