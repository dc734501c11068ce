"""What a command shows, as a picture that stands by itself."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console, RenderableType
from rich.terminal_theme import SVG_EXPORT_THEME

_WIDTH = 118
# Rich's picture asks a font server for its font; whoever looks at it has one of their own.
_FETCHED_FONT = re.compile(r"@font-face\s*{[^}]*}")


def save_picture(shown: RenderableType, path: Path, *, title: str) -> None:
    """Write what a terminal would show as an SVG that fetches nothing."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(shown)
    svg = console.export_svg(title=title, theme=SVG_EXPORT_THEME, unique_id="rampart")
    path.write_text(_FETCHED_FONT.sub("", svg), encoding="utf-8")
