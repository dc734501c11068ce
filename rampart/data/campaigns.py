"""Campaigns: messages that were written once and sent many times, with small changes.

Two messages belong together when most of their word 3-grams are the same (MinHash, Broder 1997)
or when their subjects are. MinHash values are cut into bands; messages that share a band's values
are compared with the first of them alone, so that the work grows with the number of messages and
not with the square of a campaign's size, which is what querying an LSH index would cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rampart.data.cleaning import clean
from rampart.data.minhash import PERMUTATIONS, normalised, signature
from rampart.data.step import Progress, Ticker

_BAND = 3  # Rows in a band: at a similarity of .5 some band agrees 19 times in 20.
_SIMILAR = 0.5  # Share of equal MinHash values, which estimates the Jaccard similarity.
_SHORTEST_SUBJECT = 5
_COMPARED = 2**16  # Pairs of signatures in memory at once.

Signatures = NDArray[np.uint32]
Rows = NDArray[np.int64]


def assign_campaigns(messages: pd.DataFrame, on_progress: Progress | None = None) -> pd.DataFrame:
    """The same messages, each with the id of its campaign's first message as its campaign.

    Args:
        messages: a `MESSAGES` table of n rows.
        on_progress: called with rows done and rows in all.
    """
    if not len(messages):
        return messages
    table = signatures([normalised(text) for text in messages["clean"]], on_progress)
    codes, _ = pd.factorize(np.array(list(map(subject_key, messages["subject"])), dtype=object))
    # One more than pandas counts from, for 0 means that a subject says nothing.
    first = first_of_campaign(table, (codes + 1).astype(np.uint64))
    return messages.assign(campaign=messages["id"].to_numpy()[first])


def first_of_campaign(
    table: Signatures, subjects: NDArray[np.uint64], rows: Rows | None = None
) -> Rows:
    """For each of n messages the first of its campaign, int64 [n].

    Beside the signatures, which may lie in a file, some 100 bytes a message are held.

    Args:
        table: MinHash values, uint32 [m, permutations].
        subjects: a number for each subject that is equal where they read the same, 0 for one that
            says nothing, uint64 [n].
        rows: of the table that are the messages, int64 [n]; all by default.
    """
    rows = np.arange(len(table)) if rows is None else rows
    first = np.arange(len(rows))
    if not len(rows):
        return first
    for links in chain([_same_subject(subjects)], _similar(table, rows)):
        first = _joined(first, links)
    return first


def signatures(texts: Sequence[str], on_progress: Progress | None = None) -> Signatures:
    """MinHash values of normalised texts' word 3-grams, uint32 [n, permutations]."""
    tick = Ticker(len(texts), on_progress)
    result = np.empty((len(texts), PERMUTATIONS), dtype=np.uint32)
    for number, text in enumerate(texts):
        result[number] = signature(text)
        tick(number + 1)
    return result


def subject_key(subject: str) -> str | None:
    """What subjects that read the same have in common; None for one too short to say anything."""
    key = normalised(clean(subject).text)
    return key if len(key) >= _SHORTEST_SUBJECT else None


def _similar(table: Signatures, rows: Rows) -> Iterator[Rows]:
    """Pairs of rows alike, int64 [2, m] a band: each of a band's bucket against the first there.

    Which of two near the limit are alike can depend on the order of rows; sources keep theirs.
    """
    for start in range(0, PERMUTATIONS, _BAND):
        owner = _first_alike(table[:, start : start + _BAND][rows])
        later = np.flatnonzero(owner != np.arange(len(rows)))
        alike = [
            later[part][_share_of_equal(table, rows[owner[later[part]]], rows[later[part]])]
            for part in _parts(len(later))
        ]
        row = np.concatenate([later[:0], *alike])
        yield np.stack([owner[row], row])


def _first_alike(band: Signatures) -> Rows:
    """For each row the first that has the same values, int64 [n]."""
    order = np.lexsort(band.T[::-1])
    ordered = band[order]
    begins = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    owner = np.empty(len(band), dtype=np.int64)
    # The sort is stable, so that a bucket begins with its lowest row.
    owner[order] = order[begins][np.cumsum(begins) - 1]
    return owner


def _share_of_equal(table: Signatures, one: Rows, other: Rows) -> NDArray[np.bool_]:
    enough: NDArray[np.bool_] = (table[one] == table[other]).mean(axis=1) >= _SIMILAR
    return enough


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, _COMPARED):
        yield slice(start, start + _COMPARED)


def _same_subject(subjects: NDArray[np.uint64]) -> Rows:
    """Pairs of rows whose subjects read the same, int64 [2, m]."""
    telling = np.flatnonzero(subjects)
    _, first, code = np.unique(subjects[telling], return_index=True, return_inverse=True)
    owner = telling[first[code]]
    later = owner != telling
    return np.stack([owner[later], telling[later]])


def _joined(first: Rows, links: Rows) -> Rows:
    """First row of each row's component, with some links more between components."""
    if not links.size:
        return first
    own = np.arange(len(first))
    pairs = np.concatenate([own, links[0]]), np.concatenate([first, links[1]])
    graph = coo_array((np.ones(len(pairs[0]), dtype=np.int8), pairs), shape=(len(own), len(own)))
    _, member = connected_components(graph, directed=False)
    firsts = np.empty(member.max() + 1, dtype=np.int64)
    firsts[member[::-1]] = own[::-1]
    joined: Rows = firsts[member]
    return joined
