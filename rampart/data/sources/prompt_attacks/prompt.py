"""One text from a package, and what the readers of all packages do with texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rampart.data.sources.pypi import Texts

ATTACK, HARMLESS = 1, 0
_HEADING = re.compile(r"^(?=#{1,4} )", re.MULTILINE)
_SHORTEST = 40  # Characters of documentation: a heading alone says nothing.


class Prompt(NamedTuple):
    """A text that somebody may send to a language model.

    Attributes:
        group: the package and the file or technique; the label is the group's.
        name: unique within its group.
        label: `ATTACK` or `HARMLESS`.
        text: what is sent.
        sent: the month that the package documents for it, as "2025-04"; empty where it has none.
    """

    group: str
    name: str
    label: int
    text: str
    sent: str = ""


def numbered(group: str, label: int, texts: Iterable[str], sent: str = "") -> Iterator[Prompt]:
    """Texts that their package gives no names; blank ones are passed over."""
    for number, text in enumerate(texts, start=1):
        if text.strip():
            yield Prompt(group, f"{number:04d}", label, text.strip(), sent)


def documentation(group: str, texts: Iterable[str]) -> Iterator[Prompt]:
    """Texts of those who test models: most speak of attacks and make none."""
    yield from numbered(group, HARMLESS, (text for text in texts if len(text) >= _SHORTEST))


def sections(document: bytes) -> list[str]:
    """A Markdown document, or the one that a package's METADATA holds, cut at its headings."""
    text = document.decode("utf-8", "replace")
    if text.startswith("Metadata-Version:"):
        text = text.partition("\n\n")[2]
    return _HEADING.split(text)


def named(files: Texts, start: str, end: str) -> Iterator[tuple[str, bytes]]:
    """The files whose names start and end so: what stands between the two, and the content."""
    for name, content in files.items():
        if name.startswith(start) and name.endswith(end):
            yield name[len(start) : len(name) - len(end)], content


def mixed(texts: Iterable[str]) -> list[str]:
    """Each text once, in an order that has nothing to do with where it stood."""
    return sorted(dict.fromkeys(texts), key=lambda text: hashlib.sha256(text.encode()).digest())
