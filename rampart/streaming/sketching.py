"""What near-duplicates of a text have in common, small enough to travel with its verdict."""

from __future__ import annotations

from base64 import b64decode, b64encode

import numpy as np

from rampart.data.minhash import Signature, normalised, signature

_WORDS = 300


def sketch(clean: str) -> str:
    """MinHash values of a cleaned text's first words, little-endian uint32 in base 64."""
    return b64encode(signature(normalised(clean), _WORDS).astype("<u4").tobytes()).decode()


def values(text: str) -> Signature | None:
    """The MinHash values of a sketch, uint32 [permutations]; None where it is none."""
    try:
        found: Signature = np.frombuffer(b64decode(text, validate=True), dtype="<u4")
    except ValueError:
        return None
    return found if len(found) else None
