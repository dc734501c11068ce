"""Texts that stand for all: drawn by length and by class, as the graph reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.data.labelled import Labelled
from rampart.models.encoder import EncoderModel, windows

_BINS = 4


def stratified(texts: Labelled, count: int, seed: int) -> Labelled:
    """As many texts of each class and of each quarter of lengths, as far as there are any.

    Args:
        texts: to draw from.
        count: how many to draw, at the most.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    lengths = np.array([len(text) for text in texts.texts])
    chosen: list[int] = []
    for label in np.unique(texts.labels):
        own = np.flatnonzero(texts.labels == label)
        by_length = own[np.argsort(lengths[own], kind="stable")]
        share = -(-count // (len(np.unique(texts.labels)) * _BINS))
        for part in np.array_split(by_length, _BINS):
            chosen += draw.permutation(part)[:share].tolist()
    rows = np.array(sorted(draw.permutation(chosen)[:count]), dtype=np.int64)
    return Labelled([texts.texts[row] for row in rows], texts.labels[rows])


def feeds(model: EncoderModel, texts: Sequence[str]) -> list[dict[str, NDArray[np.int64]]]:
    """What the graph is fed for the first window of each text, all padded to the same length."""
    settings, config = model.config.window, model.config
    found = []
    for encoding in model.tokenizer.encode_batch(list(texts), add_special_tokens=False):
        ids = np.array(encoding.ids, dtype=np.int64)[
            windows(len(encoding.ids), settings)[0].position
        ]
        tokens = np.full((1, settings.tokens), config.pad_id, dtype=np.int64)
        tokens[0, 0] = config.cls_id
        tokens[0, 1 : len(ids) + 1] = ids
        tokens[0, len(ids) + 1] = config.sep_id
        mask = np.zeros_like(tokens)
        mask[0, : len(ids) + 2] = 1
        found.append({"input_ids": tokens, "attention_mask": mask})
    return found


class Reader:
    """Feeds one after the other, as ONNX Runtime's calibration asks for them."""

    def __init__(self, given: Sequence[dict[str, NDArray[np.int64]]]) -> None:
        self._left: Iterator[dict[str, Any]] = iter(given)

    def get_next(self) -> dict[str, Any] | None:
        """The next; None when there is none."""
        return next(self._left, None)
