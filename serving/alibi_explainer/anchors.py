"""Anchors of a text (Ribeiro et al., 2018): words that alone hold the verdict, whatever the others.

Alibi replaces words that are no anchor by UNK and asks the predictor what it says now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = Callable[[Sequence[str]], list[str]]
"""From texts to the predictor's labels."""
METHOD = "anchors"
_BATCH = 64


@dataclass(frozen=True)
class Effort:
    """What one explanation may cost.

    Attributes:
        precision: share of texts with the anchor that have to keep the label, 0 to 1.
        evaluations: texts that may be scored.
        seconds: that it may take.
        words: of the text that may be replaced, from its beginning; what follows stays.
        seed: of the draws.
    """

    precision: float = 0.95
    evaluations: int = 2_000
    seconds: float = 30.0
    words: int = 100
    seed: int = 0


class _SpentError(Exception):
    """The effort is spent."""


class _Asked:
    """The predictor as Alibi calls it: whether texts keep the label, within the effort."""

    def __init__(self, labels: Labels, label: str, rest: str, effort: Effort) -> None:
        self._labels = labels
        self._label = label
        self._rest = rest
        self._effort = effort
        self._begun = time.perf_counter()
        self.evaluations = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        kept: list[int] = []
        for first in range(0, len(texts), _BATCH):
            some = [text + self._rest for text in texts[first : first + _BATCH]]
            over = self.evaluations + len(some) > self._effort.evaluations
            if over or self.seconds > self._effort.seconds:
                raise _SpentError
            self.evaluations += len(some)
            kept += [int(label == self._label) for label in self._labels(some)]
        return np.array(kept, dtype=np.int64)


def anchors(text: str, labels: Labels, effort: Effort) -> dict[str, Any]:
    """Explain one text.

    Returns:
        `method`, `label`, `spans` in the order in which they were found, each with `start` and
        `end` in code points and `value`, what it adds to the precision; `base`, the precision
        without any; `precision` and `coverage` of all together; `evaluations`, `seconds`, `seed`,
        and `complete`: whether the effort sufficed. Where it did not there is no span.
    """
    [label] = labels([text])
    document = _tokens()(text)
    end = document[effort.words].idx if len(document) > effort.words else len(text)
    asked = _Asked(labels, label, text[end:], effort)
    found: dict[str, Any] = {"spans": [], "base": None, "precision": None, "coverage": None}
    # What holds no word has nothing to replace.
    complete = not text[:end].strip()
    if not complete:
        try:
            found |= _anchored(text[:end], asked, effort)
            complete = True
        except _SpentError:
            pass
    return {
        "method": METHOD,
        "label": label,
        **found,
        "evaluations": asked.evaluations + 1,
        "seconds": round(asked.seconds, 3),
        "seed": effort.seed,
        "complete": complete,
    }


def _anchored(text: str, asked: _Asked, effort: Effort) -> dict[str, Any]:
    from alibi.explainers import AnchorText

    explainer = AnchorText(
        predictor=asked, sampling_strategy="unknown", nlp=_tokens(), seed=effort.seed
    )
    # Alibi's own draws, those of its search among them, come from NumPy's global state.
    np.random.seed(effort.seed)  # noqa: NPY002
    raw = explainer.explain(text, threshold=effort.precision, batch_size=_BATCH).raw
    precision = [float(value) for value in raw["mean"]]
    base = float(raw["all_precision"])
    before = [base, *precision]
    spans = [
        {"start": int(at), "end": int(at) + len(name), "value": after - earlier}
        for name, at, earlier, after in zip(
            raw["names"], raw["positions"], before, precision, strict=False
        )
    ]
    return {
        "spans": spans,
        "base": base,
        "precision": precision[-1] if precision else base,
        "coverage": float(raw["coverage"][-1]) if raw["coverage"] else 1.0,
    }


@cache
def _tokens() -> Any:
    import spacy

    # Rules for tokens alone: no model is needed, and none fetched.
    return spacy.blank("en")
