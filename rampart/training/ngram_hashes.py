"""N-grams of a batch of texts as 64-bit hashes: counted by sorting numbers, not in dictionaries.

A hash stands for its n-gram in every process. Two of a hundred million different n-grams have the
same one with a chance of three in ten thousand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from rampart.data.cleaning import AlignedText
from rampart.models.ngram import NgramSettings, normalised

Hashes = NDArray[np.uint64]
Ids = NDArray[np.int64]

KINDS = ("words", "characters")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Counted:
    """How often each n-gram of one kind occurs in each text of a batch.

    Attributes:
        hashes: of the n-grams that occur, ascending, uint64 [u].
        counts: gives how often each occurs in each text, int64, texts by n-grams.
        name: gives the n-gram at an index of `hashes`.
    """

    hashes: Hashes
    counts: Callable[[], sp.csr_matrix]
    name: Callable[[int], str]


def count(texts: Sequence[str], settings: NgramSettings) -> tuple[Counted, Counted]:
    """The n-grams of words and those of characters of some texts."""
    split = [AlignedText.plain(text).words for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(words) for words in split])
    places: dict[str, int] = {}
    raw = np.array([places.setdefault(w, len(places)) for words in split for w in words], np.int64)
    known: dict[str, int] = {}
    ids = np.array([known.setdefault(normalised(w), len(known)) for w in places], np.int64)[raw]
    tokens = list(known)
    return (
        _word_runs(ids, owner, tokens, len(texts), settings.words),
        _character_runs(ids, owner, tokens, len(texts), settings.characters),
    )


def _word_runs(ids: Ids, owner: Ids, tokens: list[str], texts: int, longest: int) -> Counted:
    hashes = np.array([_hash(token) for token in tokens], dtype=np.uint64)[ids]
    found, begins, lengths = _runs(hashes, owner, 1, longest)
    unique, first, column = np.unique(found, return_index=True, return_inverse=True)

    def name(index: int) -> str:
        begin, length = begins[first[index]], lengths[first[index]]
        return " ".join(tokens[token] for token in ids[begin : begin + length])

    def counts() -> sp.csr_matrix:
        return _matrix(owner[begins], column, (texts, len(unique)))

    return Counted(unique, counts, name)


def _character_runs(
    ids: Ids, owner: Ids, tokens: list[str], texts: int, limits: tuple[int, int] | None
) -> Counted:
    """Each token's n-grams are counted once; a text's are the product of its tokens and theirs."""
    padded = [f" {token} " for token in tokens]
    joined = "".join(padded)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    of_token = np.repeat(np.arange(len(padded)), list(map(len, padded)))
    found, begins, lengths = _runs(_mixed(codes.astype(np.uint64)), of_token, *(limits or (1, 0)))
    unique, first, column = np.unique(found, return_index=True, return_inverse=True)

    def name(index: int) -> str:
        begin = begins[first[index]]
        return joined[begin : begin + lengths[first[index]]]

    def counts() -> sp.csr_matrix:
        of_tokens = _matrix(of_token[begins], column, (len(tokens), len(unique)))
        return sp.csr_matrix(_matrix(owner, ids, (texts, len(tokens))) @ of_tokens)

    return Counted(unique, counts, name)


def _runs(hashes: Hashes, owner: Ids, shortest: int, longest: int) -> tuple[Hashes, Ids, Ids]:
    """Hashes of all runs inside one owner, where each begins, and how long it is."""
    found, begins, lengths = [hashes[:0]], [owner[:0]], [owner[:0]]
    rolled = hashes
    for length in range(1, longest + 1):
        if length > len(hashes):
            break
        last = length - 1
        if last:
            rolled = _mixed(rolled[:-1] * _MULTIPLIER + hashes[last:])
        if length >= shortest:
            inside = np.flatnonzero(owner[: len(rolled)] == owner[last:])
            found.append(rolled[inside])
            begins.append(inside)
            lengths.append(np.full(len(inside), length))
    return np.concatenate(found), np.concatenate(begins), np.concatenate(lengths)


def _matrix(rows: Ids, columns: Ids, shape: tuple[int, int]) -> sp.csr_matrix:
    """How often each pair of row and column occurs."""
    ones = np.ones(len(rows), dtype=np.int64)
    matrix = sp.csr_matrix((ones, (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _hash(token: str) -> int:
    encoded = token.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


def _mixed(numbers: Hashes) -> Hashes:
    """Numbers whose every bit depends on all bits of those given (SplitMix64's last steps)."""
    mixed = numbers + _MULTIPLIER
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Hashes = mixed ^ (mixed >> np.uint64(31))
    return result
