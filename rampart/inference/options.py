"""What a caller may say of how texts are scored; two calls that say the same may share a batch."""

from __future__ import annotations

from dataclasses import dataclass

from rampart.inference.verdict import Explanation


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """Arguments of `Engine.score` beside the texts; see there."""

    top_k: int = 10
    explain: Explanation = "contributions"
    threshold: float | None = None
    models: tuple[str, ...] | None = None
