"""How a text is written: parts of speech, names, sentences, readability, variety of words.

spaCy tags the beginning of a text by its small English model, which comes as a package; its parser
and its lemmatiser stay off, because they cost more than the rest and no feature here needs them.
Readability is by the formulas of Flesch (1948), Smith and Senter (1967, the automated readability
index) and Björnsson (1968, LIX). They are computed here because textstat fetches a pronouncing
dictionary from the network on its first call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from rampart.data.cleaning import AlignedText
from rampart.features.base import Feature, FeatureFamily, Reading, Span
from rampart.features.tagging import MODEL, blanked

_OFF = ("parser", "lemmatizer")
_BATCH = 64

# Universal part-of-speech tags: feature to tag and meaning.
_PARTS = {
    "noun_share": ("NOUN", "nouns"),
    "name_share": ("PROPN", "proper nouns"),
    "verb_share": ("VERB", "verbs"),
    "auxiliary_share": ("AUX", "auxiliaries"),
    "adjective_share": ("ADJ", "adjectives"),
    "adverb_share": ("ADV", "adverbs"),
    "pronoun_share": ("PRON", "pronouns"),
    "number_share": ("NUM", "numbers"),
    "determiner_share": ("DET", "determiners"),
    "preposition_share": ("ADP", "prepositions"),
    "conjunction_share": ("CCONJ", "conjunctions"),
    "interjection_share": ("INTJ", "interjections"),
    "unknown_share": ("X", "words of no known part"),
}
_NAMED = {
    "people": ("PERSON", "names of people"),
    "organisations": ("ORG", "names of organisations"),
    "places": ("GPE", "names of countries, cities and states"),
    "sums": ("MONEY", "sums of money"),
    "percentages": ("PERCENT", "percentages"),
    "dates": ("DATE", "dates"),
    "times": ("TIME", "times of day"),
    "products": ("PRODUCT", "names of products"),
    "amounts": ("CARDINAL", "amounts"),
}
_MODALS = "words like will, can and must"
_WINDOW = 50
_VOWELS = re.compile(r"[aeiouy]{1,40}")

_FEATURES = (
    *(
        Feature(name, "share", f"{meaning} among the words")
        for name, (_, meaning) in _PARTS.items()
    ),
    *(Feature(f"named_{name}", "per 100 words", meaning) for name, (_, meaning) in _NAMED.items()),
    Feature("modal_share", "share", f"{_MODALS} among the words"),
    Feature("past_share", "share", "past forms among the verbs"),
    Feature("passives", "per 100 words", "a form of to be before a participle"),
    Feature("sentences", "count", "sentences"),
    Feature("sentence_length", "words", "mean length of sentences"),
    Feature("sentence_spread", "words", "standard deviation of the lengths"),
    Feature("imperatives", "share", "sentences that begin with a verb's base form"),
    Feature("questions", "share", "sentences that end with a question mark"),
    Feature("exclamations", "share", "sentences that end with an exclamation mark"),
    Feature("flesch", "score", "reading ease by Flesch; higher is easier"),
    Feature("automated_readability", "school years", "automated readability index"),
    Feature("lix", "score", "LIX; higher is harder"),
    Feature("variety", "share", f"different words in a window of {_WINDOW}, on average"),
    Feature("once", "share", "words that come once among the different ones"),
    Feature("syllables", "count", "mean syllables of a word"),
)


@cache
def _nlp() -> Any:
    import spacy

    nlp = spacy.load(MODEL, exclude=list(_OFF))
    nlp.enable_pipe("senter")
    return nlp


def syllables(word: str) -> int:
    """How many syllables a word has, by its groups of vowels; a silent e at its end is none."""
    lowered = word.lower()
    count = sum(1 for _ in _VOWELS.finditer(lowered))
    if count > 1 and lowered.endswith("e") and not lowered.endswith(("le", "ee")):
        count -= 1
    return max(count, 1)


class LinguisticFeatures(FeatureFamily):
    """Features of language over the first `characters` of the clean text.

    Needs the extra `language`. Offline: the model is a package like any other.
    """

    name: ClassVar[str] = "linguistic"

    def __init__(self, characters: int = 1_000) -> None:
        self.characters = characters

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns, in order."""
        return _FEATURES

    def read(self, text: AlignedText) -> Reading:
        """The features of one text."""
        [reading] = self.readings([text])
        return reading

    def readings(self, texts: Sequence[AlignedText]) -> list[Reading]:
        """The features of several texts, tagged in batches."""
        beginnings = (blanked(text.text[: self.characters]) for text in texts)
        documents = _nlp().pipe(beginnings, batch_size=_BATCH)
        return [_reading(text, document) for text, document in zip(texts, documents, strict=True)]


def _reading(text: AlignedText, document: Any) -> Reading:
    values = dict.fromkeys((feature.name for feature in _FEATURES), 0.0)
    evidence: dict[str, list[Span]] = {}
    words = [token for token in document if token.is_alpha or token.like_num]
    if words:
        values |= _of_words(words)
        values |= _of_sentences(document, evidence)
        for name, (label, _) in _NAMED.items():
            found = [entity for entity in document.ents if entity.label_ == label]
            values[f"named_{name}"] = 100.0 * len(found) / len(words)
            evidence[f"named_{name}"] = [(one.start_char, one.end_char) for one in found]
    return Reading(
        np.array([values[feature.name] for feature in _FEATURES], dtype=np.float64),
        {name: _in_source(text, spans) for name, spans in evidence.items() if spans},
    )


def _in_source(text: AlignedText, spans: Iterable[Span]) -> list[Span]:
    bounds = np.array(list(spans), dtype=np.int64)
    start, end = text.to_source(bounds[:, 0], bounds[:, 1])
    return list(zip(start.tolist(), end.tolist(), strict=True))


def _of_words(words: Sequence[Any]) -> dict[str, float]:
    count = len(words)
    parts = Counter(token.pos_ for token in words)
    tags = Counter(token.tag_ for token in words)
    values = {name: parts[tag] / count for name, (tag, _) in _PARTS.items()}
    verbs = sum(number for tag, number in tags.items() if tag.startswith("VB"))
    passives = sum(
        1
        for before, after in _pairs(words)
        if after.tag_ == "VBN" and before.lower_ in {"be", "is", "are", "was", "were", "been"}
    )
    lowered = [token.lower_ for token in words]
    different = Counter(lowered)
    return values | {
        "modal_share": tags["MD"] / count,
        "past_share": (tags["VBD"] + tags["VBN"]) / max(verbs, 1),
        "passives": 100.0 * passives / count,
        "variety": _variety(lowered),
        "once": sum(1 for number in different.values() if number == 1) / len(different),
        "syllables": sum(map(syllables, lowered)) / count,
    }


def _pairs(words: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(words, islice(words, 1, None), strict=False)


def _variety(words: Sequence[str]) -> float:
    """Different words in a window, on average over the windows; the text itself where it is short.

    A share of the whole text would fall with its length (Covington and McFall, 2010).
    """
    if len(words) <= _WINDOW:
        return len(set(words)) / len(words)
    inside = Counter(words[:_WINDOW])
    total, windows = len(inside), 1
    for leaving, entering in zip(words, words[_WINDOW:], strict=False):
        inside[leaving] -= 1
        if not inside[leaving]:
            del inside[leaving]
        inside[entering] += 1
        total, windows = total + len(inside), windows + 1
    return total / windows / _WINDOW


def _of_sentences(document: Any, evidence: dict[str, list[Span]]) -> Mapping[str, float]:
    lengths, letters, syllable_count, long_words = [], 0, 0, 0
    imperatives: list[Span] = []
    questions = exclamations = 0
    for sentence in document.sents:
        words = [token for token in sentence if token.is_alpha or token.like_num]
        if not words:
            continue
        lengths.append(len(words))
        for word in words:
            letters += len(word)
            syllable_count += syllables(word.text)
            long_words += len(word) > 6
        if words[0].tag_ == "VB":
            imperatives.append((words[0].idx, words[0].idx + len(words[0])))
        last = sentence.text.rstrip()[-1:]
        questions += last == "?"
        exclamations += last == "!"
    count, total = len(lengths), sum(lengths)
    evidence["imperatives"] = imperatives
    a_sentence = total / count
    return {
        "sentences": count,
        "sentence_length": a_sentence,
        "sentence_spread": float(np.std(lengths)),
        "imperatives": len(imperatives) / count,
        "questions": questions / count,
        "exclamations": exclamations / count,
        "flesch": 206.835 - 1.015 * a_sentence - 84.6 * syllable_count / total,
        "automated_readability": 4.71 * letters / total + 0.5 * a_sentence - 21.43,
        "lix": a_sentence + 100.0 * long_words / total,
    }
