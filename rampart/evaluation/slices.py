"""The parts of a test table that are measured by themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

ALL = "all"
SHORT, LONG = 500, 2_000
FEWEST_ROWS = 10
_MOST_GROUPS = 20

MEANING = {
    ALL: "every row",
    "hard ham": "harmless mail that looks like a threat: groups named hard-ham…",
    "short": f"under {SHORT} characters as sent",
    "medium": f"{SHORT} to {LONG - 1} characters as sent",
    "long": f"{LONG} characters as sent or more",
    "HTML": "mail with an HTML part",
    "plain text": "mail without one",
}
"""What each slice but the groups' own holds."""


def slices(table: pd.DataFrame) -> dict[str, Mask]:
    """Masks of the rows of each slice, [n] each.

    Slices of fewer than 10 rows are left out, but for 'all'. A slice of one class alone, as hard
    ham is, has no figures but those of that class (`rampart.evaluation.metrics`).

    Args:
        table: columns group, characters and has_html.

    Returns:
        'all'; 'hard ham'; 'group: NAME' for each source group where there are 2 to 20 of them;
        'short', 'medium' and 'long' by characters; 'HTML' and 'plain text'.
    """
    group = table["group"].astype(str)
    characters = table["characters"].to_numpy()
    html = table["has_html"].to_numpy(dtype=np.bool_)
    found: dict[str, Mask] = {
        "hard ham": group.str.match(r"(?i)hard[-_ ]?ham").to_numpy(dtype=np.bool_),
    }
    names = sorted(group.unique())
    if 2 <= len(names) <= _MOST_GROUPS:
        found |= {f"group: {name}": (group == name).to_numpy(dtype=np.bool_) for name in names}
    found |= {
        "short": characters < SHORT,
        "medium": (characters >= SHORT) & (characters < LONG),
        "long": characters >= LONG,
        "HTML": html,
        "plain text": ~html,
    }
    kept = {name: mask for name, mask in found.items() if mask.sum() >= FEWEST_ROWS}
    return {ALL: np.ones(len(table), dtype=np.bool_)} | kept
