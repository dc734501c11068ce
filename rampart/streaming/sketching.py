"""What near-duplicates of a text have in common, small enough to travel with its verdict."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

import numpy as np

from rampart.data.minhash import Signature, normalised, signature

_WORDS = 300
_CHARACTERS = 10_000
_MARKUP = re.compile(r"<[^<>]{0,1000}>")


def sketch(text: str) -> str:
    """MinHash values of a text's first words without its markup, uint32 in base 64.

    Not of the cleaned text: to clean costs as much as the quickest model, and here it is enough
    that the same text always gives the same words.
    """
    words = normalised(_MARKUP.sub(" ", text[:_CHARACTERS]))
    return b64encode(signature(words, _WORDS).astype("<u4").tobytes()).decode()


def values(text: str) -> Signature | None:
    """The MinHash values of a sketch, uint32 [permutations]; None where it is none."""
    try:
        found: Signature = np.frombuffer(b64decode(text, validate=True), dtype="<u4")
    except ValueError:
        return None
    return found if len(found) else None
