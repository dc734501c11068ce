"""What a bundle's verdicts rest on, as one page: single texts, and what weighs over many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rampart.errors import DataError
from rampart.explain import plots
from rampart.explain.aggregate import global_importance, importance_by
from rampart.explain.attribution import Attribution, from_contributions
from rampart.explain.pictures import Panel, Plot, document
from rampart.inference.engine import Engine

_CHUNK = 32
_FEWEST_TEXTS = 3
_MOST_WORDS = 25
_EVERY_SPAN = 1_000_000
_METHODS = {
    "terms": "contributions, the sum's own terms",
    "learned": "contributions, the encoder's by its learned head",
}
_NOTES = (
    (
        "Every figure here came with the verdict, from the same pass: bias and values add up to "
        "the logit."
    ),
    (
        "Words are credited as the models read them; a word that weighs much in this corpus need "
        "not be a sign of a threat anywhere else."
    ),
)


@dataclass(frozen=True)
class _Explained:
    """A row of the table and its verdict."""

    text: str
    label: int
    probability: float
    campaign: str
    attribution: Attribution


def exposition(
    engine: Engine,
    table: pd.DataFrame,
    *,
    texts: int = 200,
    shown: int = 12,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> str:
    """One HTML page on what the verdicts about a labelled table rest on.

    Args:
        engine: the bundle.
        table: held-out messages: text as sent, label, campaign.
        texts: drawn from it, whose words are weighed together.
        shown: of those, at the most, that are shown with their words marked: the surest mistakes,
            then sure and unsure verdicts of both labels in turns.
        seed: of the draw.
        on_progress: told the texts done and the texts in all.

    Returns:
        HTML under a policy that lets a browser load and run nothing.

    Raises:
        DataError: the table holds no row.
    """
    if table.empty:
        raise DataError("There is no message to explain.", "Give a table with at least one row.")
    drawn = table.sample(min(texts, len(table)), random_state=seed).sort_values("id")
    rows = _explained(engine, drawn, on_progress)
    pairs = [(row.text, row.attribution) for row in rows]
    campaigns = [row.campaign for row in rows]
    names = engine.manifest.labels
    fewest = min(_FEWEST_TEXTS, len(rows))
    everything = global_importance(
        pairs, campaigns=campaigns, most=_MOST_WORDS, fewest_texts=fewest, seed=seed
    )
    flagged = np.array([row.probability >= engine.manifest.threshold for row in rows])
    slices = importance_by(
        pairs,
        {f"called {names[1]}": flagged, f"called {names[0]}": ~flagged},
        campaigns=campaigns,
        most=_MOST_WORDS,
        fewest_texts=fewest,
        seed=seed,
    )
    drawings = [Plot(plots.importance(everything), f"Over {len(rows)} held-out texts.")]
    drawings += [
        Plot(plots.importance(found), f"Over the {found.texts} texts that are {name}.")
        for name, found in slices.items()
    ]
    chosen = _chosen(engine, rows, shown)
    return document(
        {
            _heading(engine, number, row): [
                Panel(row.attribution.method, row.text, row.attribution)
            ]
            for number, row in enumerate(chosen, start=1)
        },
        title="Rampart: what the verdicts rest on",
        notes=_NOTES,
        plots=drawings,
    )


def _explained(
    engine: Engine, table: pd.DataFrame, on_progress: Callable[[int, int], None] | None
) -> list[_Explained]:
    texts = table["text"].tolist()
    found = []
    for first in range(0, len(texts), _CHUNK):
        some = table.iloc[first : first + _CHUNK]
        verdicts = engine.score(some["text"].tolist(), top_k=_EVERY_SPAN)
        for verdict, (_, row) in zip(verdicts, some.iterrows(), strict=True):
            attribution = from_contributions(verdict.explanation, method=_METHODS[engine.method])
            found.append(
                _Explained(
                    row["text"],
                    int(row["label"]),
                    verdict.probability,
                    str(row["campaign"]),
                    attribution,
                )
            )
        if on_progress is not None:
            on_progress(min(first + _CHUNK, len(texts)), len(texts))
    return found


def _chosen(engine: Engine, rows: Sequence[_Explained], shown: int) -> list[_Explained]:
    """Mistakes, the surest first, for half of the room; then the surest and least sure others."""
    limit = engine.manifest.threshold
    by_doubt = sorted(rows, key=lambda row: abs(row.probability - row.label), reverse=True)
    wrong = [row for row in by_doubt if (row.probability >= limit) != bool(row.label)]
    chosen = wrong[: shown // 2]
    right = [
        [row for row in by_doubt if row.label == label and row not in wrong] for label in (1, 0)
    ]
    turn = 0
    while len(chosen) < shown and any(right):
        pool = right[turn % 2]
        if pool:
            # Unsure ones from the front, sure ones from the back, by turns.
            chosen.append(pool.pop(0 if turn // 2 % 2 else -1))
        turn += 1
    return chosen


def _heading(engine: Engine, number: int, row: _Explained) -> str:
    names = engine.manifest.labels
    called = names[int(row.probability >= engine.manifest.threshold)]
    mistake = "" if called == names[row.label] else ", a mistake"
    return (
        f"{number}. {names[row.label]} called {called}, probability {row.probability:.4f}{mistake}"
    )
