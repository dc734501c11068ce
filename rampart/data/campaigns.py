"""Campaigns: messages that were written once and sent many times, with small changes.

Two messages belong together when most of their word 3-grams are the same (MinHash, Broder 1997)
or when their subjects are. MinHash values are cut into bands; messages that share a band's values
are compared with the first of them alone, so that the work grows with the number of messages and
not with the square of a campaign's size, which is what querying an LSH index would cost.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rampart.data.cleaning import clean
from rampart.data.duplicates import normalised
from rampart.data.step import Progress, Ticker

_PERMUTATIONS = 60
_BAND = 3  # Rows in a band: at a similarity of .5 some band agrees 19 times in 20.
_SIMILAR = 0.5  # Share of equal MinHash values, which estimates the Jaccard similarity.
_LONGEST = 2_000  # Words that are looked at: a campaign is known by its beginning.
_SHINGLE = 3
_SHORTEST_SUBJECT = 5
_SEED = 1

Signatures = NDArray[np.uint64]


def assign_campaigns(messages: pd.DataFrame, on_progress: Progress | None = None) -> pd.DataFrame:
    """The same messages, each with the id of its campaign's first message as its campaign.

    Args:
        messages: a `MESSAGES` table of n rows.
        on_progress: called with rows done and rows in all.
    """
    if not len(messages):
        return messages
    table = signatures([normalised(text) for text in messages["clean"]], on_progress)
    links = [_similar(table), _same_subject(messages["subject"].tolist())]
    first, second = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(table), len(table)))
    _, member = connected_components(graph, directed=False)
    ids = messages["id"].to_numpy()
    firsts = np.full(member.max() + 1, -1)
    firsts[member[::-1]] = np.arange(len(member))[::-1]
    return messages.assign(campaign=ids[firsts[member]])


def signatures(texts: Sequence[str], on_progress: Progress | None = None) -> Signatures:
    """MinHash values of normalised texts' word 3-grams, uint64 [n, permutations]."""
    from datasketch import MinHash

    tick = Ticker(len(texts), on_progress)
    blank = MinHash(num_perm=_PERMUTATIONS, seed=_SEED, hashfunc=zlib.crc32)
    result = np.empty((len(texts), _PERMUTATIONS), dtype=np.uint64)
    for number, text in enumerate(texts):
        words = text.encode().split(maxsplit=_LONGEST)[:_LONGEST]
        last = max(1, len(words) - _SHINGLE + 1)
        shingles = {b" ".join(words[start : start + _SHINGLE]) for start in range(last)}
        sketch = blank.copy()
        # In order, so that what is computed does not depend on the process's hash seed.
        sketch.update_batch(sorted(shingles))
        result[number] = sketch.hashvalues
        tick(number + 1)
    return result


def _similar(table: Signatures) -> NDArray[np.int64]:
    """Pairs of rows alike, int64 [2, m]: each row of a band's bucket against the first there.

    Which of two near the limit are alike can depend on the order of rows; sources keep theirs.
    """
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for start in range(0, _PERMUTATIONS, _BAND):
        band = np.ascontiguousarray(table[:, start : start + _BAND])
        _, first, bucket = np.unique(band, axis=0, return_index=True, return_inverse=True)
        owner = first[bucket.ravel()]
        row = np.flatnonzero(owner != np.arange(len(table)))
        alike = (table[row] == table[owner[row]]).mean(axis=1) >= _SIMILAR
        pairs.append(np.stack([owner[row[alike]], row[alike]]))
    return np.concatenate(pairs, axis=1)


def _same_subject(subjects: Sequence[str]) -> NDArray[np.int64]:
    """Pairs of rows whose subjects read the same, short ones aside, int64 [2, m]."""
    seen: dict[str, int] = {}
    pairs = []
    for row, subject in enumerate(subjects):
        key = normalised(clean(subject).text)
        if len(key) >= _SHORTEST_SUBJECT and seen.setdefault(key, row) != row:
            pairs.append((seen[key], row))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T
