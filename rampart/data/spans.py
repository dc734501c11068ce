"""Where the pieces of a text lie: what every explanation is counted in."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray


def visible_spans(pattern: re.Pattern[str], text: str) -> NDArray[np.int64]:
    """Spans [start, end) of the pieces that a pattern cuts a text into, int64 [m, 2].

    The pattern has to leave no gap between its matches, and those of white space are left out:
    their lengths then say where they lie, several times faster than asking match by match.
    """
    pieces: list[str] = pattern.findall(text)
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ends = np.cumsum(lengths)
    if len(text) != lengths.sum():
        raise ValueError(f"{pattern.pattern} leaves gaps in a text")
    seen = ~np.fromiter(map(str.isspace, pieces), np.bool_, len(pieces))
    return np.stack([ends - lengths, ends], axis=1)[seen]
