"""Word and character n-grams with a linear head.

The vocabulary is a plain dictionary and the weights are two arrays, so that a text is scored
without scikit-learn: its n-grams are looked up, counted, weighted by TF-IDF (sublinear term
frequency, each block scaled to length one) and summed. Character n-grams stay inside words;
which of them a word holds is remembered, since few words make up most of any text, and runs of
words are looked up as whole numbers made of their words' numbers.
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

from rampart.data.cleaning import AlignedText
from rampart.errors import BundleError
from rampart.models.base import Device, Floats, Keep, Model, Scores, Terms

_DIGIT = re.compile(r"\d")
_LONGEST_TOKEN = 40
_LONGEST_RUN = 3
_REMEMBERED_WORDS = 100_000
# Three words' numbers fill the 63 bits of a positive int64.
_WORD_BITS = 21

Ids = NDArray[np.int64]


class NgramSettings(BaseModel):
    """Which n-grams are features.

    Attributes:
        words: the longest run of words that is a feature; 0 for none.
        characters: shortest and longest character n-gram inside a word, or None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: int = Field(default=3, ge=0, le=_LONGEST_RUN)
    characters: tuple[int, int] | None = (2, 6)

    @field_validator("characters")
    @classmethod
    def _shortest_comes_first(cls, lengths: tuple[int, int] | None) -> tuple[int, int] | None:
        if lengths is not None and not 1 <= lengths[0] <= lengths[1] <= _LONGEST_TOKEN:
            raise ValueError(f"{lengths} are no lengths from the shortest to the longest")
        return lengths


def normalised(token: str) -> str:
    """A token as the vocabulary has it: lower case, digits to 0, a very long one cut."""
    token = token[:_LONGEST_TOKEN].lower()
    return token if token.isalpha() else _DIGIT.sub("0", token)


def tokens(text: str) -> list[str]:
    """The normalised tokens of a text."""
    return [normalised(word) for word in AlignedText.plain(text).words]


def word_ngrams(words: Sequence[str], longest: int) -> Iterator[str]:
    """Runs of up to `longest` words."""
    for length in range(1, longest + 1):
        for position in range(len(words) - length + 1):
            yield " ".join(words[position : position + length])


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

    def values(self, ids: Ids, times: Ids | None = None) -> Floats:
        """What one occurrence of each n-gram adds to the logit, float64 like `ids`.

        Args:
            ids: of a text's n-grams, [m]; one may stand there several times.
            times: how often each of them occurs in the text, int64 [m]; once by default.

        An n-gram's term is shared evenly by its occurrences.
        """
        if not ids.size:
            return np.zeros(0)
        count = np.bincount(ids, weights=times, minlength=1)[ids].astype(np.float64)
        tfidf = (1.0 + np.log(count)) * self.idf[ids]
        share = tfidf / count
        squares = share * tfidf if times is None else share * times * tfidf
        # Not as a product of vectors: over long texts BLAS wakes threads for it, which then spin.
        length = np.sqrt(squares.sum())
        values: Floats = share * self.weight[ids] / length
        return values


class _Runs:
    """Runs of words as numbers, so that a text's are found without a string made for each.

    Attributes:
        number: of each word that a run of the vocabulary holds.
    """

    def __init__(self, vocabulary: dict[str, int], longest: int) -> None:
        self.number: dict[str, int] = {}
        found: list[list[tuple[int, int]]] = [[] for _ in range(longest)]
        for run, ngram_id in vocabulary.items():
            words = run.split(" ")
            if len(words) > longest:
                continue  # longer than the settings let any text's runs be
            key = 0
            for word in words:
                key = key << _WORD_BITS | self.number.setdefault(word, len(self.number))
            found[len(words) - 1].append((key, ngram_id))
        if len(self.number) >> _WORD_BITS:
            raise ValueError(f"its vocabulary has {len(self.number):,} different words")
        ordered = [np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T for pairs in found]
        self._tables = [(keys.copy(), ids.copy()) for keys, ids in ordered]

    def found(self, numbers: Ids) -> Iterator[tuple[Ids, Ids]]:
        """For each length from one on: where runs of the vocabulary begin, and their ids.

        Args:
            numbers: of a text's words, in its order, int64 [n]; -1 for those without one.
        """
        known = numbers >= 0
        keys, whole = numbers, known
        for length, (table, ids) in enumerate(self._tables, start=1):
            if length > 1:
                last = length - 1
                whole = whole[:-1] & known[last:]
                keys = keys[:-1] << _WORD_BITS | numbers[last:]
            begins = np.flatnonzero(whole)
            if not (begins.size and table.size):
                yield begins[:0], ids[:0]
                continue
            wanted = keys[begins]
            place = np.minimum(np.searchsorted(table, wanted), table.size - 1)
            hit = table[place] == wanted
            yield begins[hit], ids[place[hit]]


@dataclass
class NgramModel(Model):
    """N-grams with a linear head; see the module."""

    kind: ClassVar[str] = "ngram"

    settings: NgramSettings
    words: Block
    characters: Block
    bias: float
    _runs: _Runs = field(init=False, repr=False)
    _remembered: dict[str, tuple[int, Ids]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._runs = _Runs(self.words.vocabulary, self.settings.words)

    def score(self, texts: Sequence[AlignedText], *, explain: bool = True) -> Scores:
        """Logits of cleaned texts; see the base class."""
        values = [self._values(text.words) for text in texts]
        logits = np.array([self.bias + value.sum() for value in values], dtype=np.float64)
        if not explain:
            return Scores(logits, None)
        return Scores(logits, tuple(map(self._terms, texts, values)))

    def _terms(self, text: AlignedText, value: Floats) -> Terms:
        spans = text.word_spans
        return Terms(spans[:, 0], spans[:, 1], value, self.bias)

    def _values(self, text: list[str]) -> Floats:
        """What each token of a text adds to its logit."""
        if not text:
            return np.zeros(0)
        places: dict[str, int] = {}
        place = np.array([places.setdefault(token, len(places)) for token in text])
        known = [self._known(token) for token in places]
        numbers = np.array([number for number, _ in known])[place]
        per_token = self._character_values([ids for _, ids in known], np.bincount(place))
        values: Floats = self._word_values(numbers) + per_token[place]
        return values

    def _word_values(self, numbers: Ids) -> Floats:
        """What each word adds by the runs it is part of; a run's words share evenly."""
        found = list(self._runs.found(numbers))
        total = np.zeros(len(numbers))
        if not found:
            return total
        values = self.words.values(np.concatenate([ids for _, ids in found]))
        cuts = np.cumsum([ids.size for _, ids in found])[:-1]
        parts = zip(found, np.split(values, cuts), strict=True)
        for length, ((begins, _), value) in enumerate(parts, start=1):
            for offset in range(length):
                total[begins + offset] += value / length
        return total

    def _character_values(self, ids: list[Ids], times: Ids) -> Floats:
        """What each occurrence of a token adds by its characters, for different tokens."""
        sizes = [part.size for part in ids]
        values = self.characters.values(np.concatenate(ids), np.repeat(times, sizes))
        owner = np.repeat(np.arange(len(ids)), sizes)
        total: Floats = np.bincount(owner, weights=values, minlength=len(ids)).astype(np.float64)
        return total

    def _known(self, raw: str) -> tuple[int, Ids]:
        """A token's number among the words, -1 for none, and the ids of its character n-grams."""
        token = raw[:_LONGEST_TOKEN]
        known = self._remembered.get(token)
        if known is None:
            word = normalised(token)
            get = self.characters.vocabulary.get
            grams = character_ngrams(word, *(self.settings.characters or (1, 0)))
            ids = np.array([i for gram in grams if (i := get(gram)) is not None], dtype=np.int64)
            known = (self._runs.number.get(word, -1), ids)
            if len(self._remembered) < _REMEMBERED_WORDS:
                self._remembered[token] = known
        return known

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
    def load(
        cls,
        folder: Path,
        *,
        threads: int | None = None,  # noqa: ARG003
        keep: Keep | None = None,  # noqa: ARG003
        device: Device = "cpu",  # noqa: ARG003
    ) -> Self:
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
