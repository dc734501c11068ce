"""Texts as their words are compared: normalised, and sketched by MinHash (Broder 1997)."""

from __future__ import annotations

import re
import zlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasketch import MinHash

PERMUTATIONS = 60
Signature = NDArray[np.uint32]

_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+")
_ZEROS = str.maketrans("123456789", "0" * 9)
_LONGEST = 2_000  # Words that are looked at: a campaign is known by its beginning.
_SHINGLE = 3
_SEED = 1


def normalised(text: str) -> str:
    """Lower case, digits to 0, nothing but word characters and one space between words."""
    lowered = text.lower()
    # Most text is ASCII, for which there is a quicker way.
    zeros = lowered.translate(_ZEROS) if lowered.isascii() else _DIGIT.sub("0", lowered)
    return " ".join(_WORD.findall(zeros))


def signature(text: str, words: int = _LONGEST) -> Signature:
    """MinHash values of a normalised text's word 3-grams, uint32 [permutations].

    Args:
        text: normalised.
        words: that are looked at, from the first.
    """
    looked_at = text.encode().split(maxsplit=words)[:words]
    runs = zip(*(looked_at[start:] for start in range(_SHINGLE)), strict=False)
    sketch = _blank().copy()
    # The least of each permutation does not depend on the order, which differs by process.
    sketch.update_batch(set(map(b" ".join, runs)) or [b" ".join(looked_at)])
    found: Signature = sketch.hashvalues.astype(np.uint32)
    return found


@cache
def _blank() -> MinHash:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, seed=_SEED, hashfunc=zlib.crc32)
