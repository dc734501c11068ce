"""What goes into the registry and what comes back: a decision, a registration, a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"


class Decision(Protocol):
    """What the gate decided about a bundle."""

    @property
    def promote(self) -> bool:
        """Whether it takes the champion's place."""

    @property
    def alias(self) -> str:
        """`champion` if it does, else `challenger`."""

    @property
    def reason(self) -> str:
        """One sentence for the reader."""

    @property
    def comparisons(self) -> Any:
        """What it rests on: dataclasses, pydantic models, mappings, sequences, plain values."""


@dataclass(frozen=True)
class Registered:
    """Where a bundle stands in the registry.

    Attributes:
        version: its version number.
        run_id: the run that holds its parameters, metrics and files.
        alias: the one it has now; `champion` for the champion, even where the decision, made of
            the same bundle, was for a challenger.
        reason: why it has that alias.
    """

    version: int
    run_id: str
    alias: str
    reason: str


@dataclass(frozen=True)
class Version:
    """One version in the registry.

    Attributes:
        number: counted from 1.
        bundle_id: of its bundle's manifest.
        aliases: those that point to it, by name.
        created: when it was registered, UTC.
        reason: why it has the alias that it was last given.
        metrics: name to value, as registered.
        replaces: number of the champion whose place it took; None if it took nobody's.
        run_id: the run that holds its parameters, metrics and files.
        source: address of the folder with its bundle, as the artifact store writes it.
    """

    number: int
    bundle_id: str
    aliases: tuple[str, ...]
    created: datetime
    reason: str
    metrics: Mapping[str, float]
    replaces: int | None
    run_id: str
    source: str
