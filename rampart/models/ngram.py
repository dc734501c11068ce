"""Word and character n-grams with a linear head.

The vocabulary is a plain dictionary and the weights are two arrays, so that a text is scored
without scikit-learn: its n-grams are looked up, counted, weighted by TF-IDF (sublinear term
frequency, each block scaled to length one) and summed. Character n-grams stay inside words;
which of them a word holds is remembered, since few words make up most of any text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rampart.errors import BundleError
from rampart.models.base import Floats, Ints, Model, Scores, Terms

# Signs count as words: money, emphasis, rules and boxes tell much in this trade.
_TOKEN = re.compile(r"[^\w\s]|\w+")
_DIGIT = re.compile(r"\d")
_LONGEST_TOKEN = 40
_REMEMBERED_WORDS = 100_000

Ids = NDArray[np.int32]


class NgramSettings(BaseModel):
    """Which n-grams are features.

    Attributes:
        words: the longest run of words that is a feature; 0 for none.
        characters: shortest and longest character n-gram inside a word, or None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: int = Field(default=3, ge=0, le=3)
    characters: tuple[int, int] | None = (2, 6)

    @field_validator("characters")
    @classmethod
    def _shortest_comes_first(cls, lengths: tuple[int, int] | None) -> tuple[int, int] | None:
        if lengths is not None and not 1 <= lengths[0] <= lengths[1] <= _LONGEST_TOKEN:
            raise ValueError(f"{lengths} are no lengths from the shortest to the longest")
        return lengths


def tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Normalised tokens with their spans: lower case, digits to 0, very long ones cut."""
    for match in _TOKEN.finditer(text):
        token = match.group()[:_LONGEST_TOKEN].lower()
        start, end = match.span()
        yield (token if token.isalpha() else _DIGIT.sub("0", token)), start, end


def word_ngrams(words: Sequence[str], longest: int) -> Iterator[tuple[str, int, int]]:
    """Runs of up to `longest` words, each with its first position and its length."""
    for length in range(1, longest + 1):
        for position in range(len(words) - length + 1):
            yield " ".join(words[position : position + length]), position, length


def character_ngrams(word: str, shortest: int, longest: int) -> Iterator[str]:
    """Character n-grams of one word with a space on each side."""
    padded = f" {word} "
    for length in range(shortest, longest + 1):
        for position in range(len(padded) - length + 1):
            yield padded[position : position + length]


@dataclass(frozen=True)
class Block:
    """One kind of n-gram: its vocabulary, and the arrays that its ids point into.

    Attributes:
        vocabulary: n-gram to id.
        idf: inverse document frequency, float64 [v].
        weight: the head's weight, float64 [v].
    """

    vocabulary: dict[str, int]
    idf: Floats
    weight: Floats

    def values(self, ids: Ids) -> Floats:
        """What each occurrence adds to the logit, float64 like `ids`.

        An n-gram's term is shared evenly by its occurrences.
        """
        if not ids.size:
            return np.zeros(0)
        unique, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
        tfidf = (1.0 + np.log(counts)) * self.idf[unique]
        term = tfidf * self.weight[unique] / np.sqrt(tfidf @ tfidf)
        values: Floats = (term / counts)[inverse]
        return values


@dataclass
class NgramModel(Model):
    """N-grams with a linear head; see the module."""

    kind: ClassVar[str] = "ngram"

    settings: NgramSettings
    words: Block
    characters: Block
    bias: float
    _remembered: dict[str, Ids] = field(default_factory=dict, repr=False)

    def score(self, texts: Sequence[str], *, explain: bool = True) -> Scores:
        """Logits of clean texts, about 0.2 ms each."""
        terms = tuple(self._terms(text) for text in texts)
        logits = np.array([term.bias + term.value.sum() for term in terms], dtype=np.float64)
        return Scores(logits, terms if explain else None)

    def _terms(self, text: str) -> Terms:
        found = list(tokens(text))
        words = [word for word, _, _ in found]
        value = self._word_values(words) + self._character_values(words)
        start: Ints = np.array([start for _, start, _ in found], dtype=np.int64)
        end: Ints = np.array([end for _, _, end in found], dtype=np.int64)
        return Terms(start, end, value, self.bias)

    def _word_values(self, words: list[str]) -> Floats:
        get = self.words.vocabulary.get
        known = [
            (ngram_id, position, length)
            for ngram, position, length in word_ngrams(words, self.settings.words)
            if (ngram_id := get(ngram)) is not None
        ]
        total = np.zeros(len(words))
        if not known:
            return total
        ids, positions, lengths = (np.array(column) for column in zip(*known, strict=True))
        shares = self.words.values(ids.astype(np.int32)) / lengths
        for offset in range(self.settings.words):
            reach = lengths > offset
            np.add.at(total, positions[reach] + offset, shares[reach])
        return total

    def _character_values(self, words: list[str]) -> Floats:
        total = np.zeros(len(words))
        if self.settings.characters is None or not words:
            return total
        per_word = [self._character_ids(word) for word in words]
        values = self.characters.values(np.concatenate(per_word))
        owners = np.repeat(np.arange(len(words)), [ids.size for ids in per_word])
        total += np.bincount(owners, weights=values, minlength=len(words))
        return total

    def _character_ids(self, word: str) -> Ids:
        ids = self._remembered.get(word)
        if ids is None:
            get = self.characters.vocabulary.get
            grams = character_ngrams(word, *(self.settings.characters or (1, 0)))
            ids = np.array([i for gram in grams if (i := get(gram)) is not None], dtype=np.int32)
            if len(self._remembered) < _REMEMBERED_WORDS:
                self._remembered[word] = ids
        return ids

    def save(self, folder: Path) -> None:
        """Write vocabulary.json and weights.npz."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "settings": self.settings.model_dump(),
            "words": list(self.words.vocabulary),
            "characters": list(self.characters.vocabulary),
        }
        (folder / "vocabulary.json").write_text(
            json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
        )
        np.savez_compressed(
            folder / "weights.npz",
            word_idf=self.words.idf.astype(np.float32),
            word_weight=self.words.weight.astype(np.float32),
            character_idf=self.characters.idf.astype(np.float32),
            character_weight=self.characters.weight.astype(np.float32),
            bias=np.float64(self.bias),
        )

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Self:  # noqa: ARG003
        """Read what `save` wrote; see the base class."""
        try:
            document = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
            settings = NgramSettings.model_validate(document["settings"])
            with (
                (folder / "weights.npz").open("rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                words = _block(document["words"], arrays["word_idf"], arrays["word_weight"])
                characters = _block(
                    document["characters"], arrays["character_idf"], arrays["character_weight"]
                )
                bias = _finite(arrays["bias"]).item()
        except Exception as error:  # numpy lets through what zipfile and zlib raise
            raise BundleError(
                f"The n-gram model in {folder.name}/ cannot be read: {error}.",
                "Write the bundle again with the pipeline.",
            ) from error
        return cls(settings=settings, words=words, characters=characters, bias=bias)


def _block(vocabulary: list[str], idf: NDArray[np.float32], weight: NDArray[np.float32]) -> Block:
    if idf.shape != (len(vocabulary),) or weight.shape != idf.shape:
        raise ValueError(f"{len(vocabulary)} n-grams, idfs {idf.shape} and weights {weight.shape}")
    ids = {ngram: index for index, ngram in enumerate(vocabulary)}
    block = Block(ids, _finite(idf), _finite(weight))
    if len(ids) != len(vocabulary) or not all(isinstance(ngram, str) for ngram in ids):
        raise ValueError("its vocabulary is no list of different n-grams")
    if (block.idf <= 0).any():
        raise ValueError("an inverse document frequency is not positive")
    return block


def _finite(numbers: NDArray[np.floating]) -> Floats:
    if numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
        raise ValueError(f"numbers of type {numbers.dtype} that are not all finite")
    return numbers.astype(np.float64)
