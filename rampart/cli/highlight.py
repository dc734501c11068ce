"""A text with its strongest spans marked for a terminal: red for a threat, green against it."""

from __future__ import annotations

from rich.text import Text

from rampart.cli.console import printable
from rampart.explain.contributions import Contributions

_AROUND = 40


def highlighted(text: str, parts: Contributions) -> Text:
    """The whole text, marked; bold where a span has half the weight of the strongest or more.

    Control characters are replaced one by one, so that offsets stay.
    """
    shown = Text(printable(text), overflow="fold")
    strongest = float(abs(parts.value).max()) if parts.value.size else 0.0
    for start, end, value in zip(parts.start, parts.end, parts.value, strict=True):
        weight = "bold " if abs(value) * 2 >= strongest else ""
        shown.stylize(f"{weight}{'red' if value > 0 else 'green'}", int(start), int(end))
    return shown


def excerpt(text: str, parts: Contributions, length: int) -> Text:
    """About `length` characters of the marked text in one line, around its strongest span."""
    first = int(parts.start[0]) if parts.value.size else 0
    start = max(0, min(first - _AROUND, len(text) - length))
    cut = highlighted(text, parts)[start : start + length]
    line = Text("\N{HORIZONTAL ELLIPSIS}" if start else "")
    plain = cut.plain
    position = 0
    for index, character in enumerate(plain):
        if character.isspace() and character != " ":
            line.append_text(cut[position:index])
            line.append(" ")
            position = index + 1
    return line.append_text(cut[position:])
