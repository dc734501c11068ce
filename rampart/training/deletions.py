"""What becomes of the encoder's logit when words are taken out of a text.

Tokens are deleted rather than characters: what stays is cut to the window as if it had been sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rampart.data.cleaning import AlignedText
from rampart.models.encoder import TOKENIZER_FILE, EncoderConfig, length_batches, windows
from rampart.training.network import (
    NETWORK_FILE,
    EncoderNetwork,
    NetworkDocument,
    served_config,
)

_BATCH_TOKENS = 2_048


@dataclass(frozen=True)
class Pieces:
    """A text in tokens and words.

    Attributes:
        ids: of all its tokens, int64 [m].
        word: that each token belongs to, int64 [m].
        read: tokens in the window, indices into `ids`, int64 [t].
        units: words that have a token in the window, in order, int64 [w].
        unit: place in `units` of each token in the window, int64 [t].
    """

    ids: NDArray[np.int64]
    word: NDArray[np.int64]
    read: NDArray[np.int64]
    units: NDArray[np.int64]
    unit: NDArray[np.int64]


@dataclass(frozen=True)
class Deletions:
    """Scores a text without some of its words, by the trained network."""

    network: EncoderNetwork
    tokenizer: Any
    special: EncoderConfig

    @classmethod
    def of(cls, trained: Path, network: EncoderNetwork) -> Self:
        """For the network in a folder."""
        from tokenizers import Tokenizer

        text = (trained / TOKENIZER_FILE).read_text(encoding="utf-8")
        document = NetworkDocument.model_validate_json((trained / NETWORK_FILE).read_bytes())
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(network, tokenizer, served_config(text, document.window, 0.0))

    def pieces(self, text: str) -> Pieces:
        """A clean text's tokens and the words that they belong to."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int64)
        starts = np.array([start for start, _ in encoding.offsets], dtype=np.int64)
        words = AlignedText.plain(text).word_spans[:, 0]
        word = np.maximum(np.searchsorted(words, starts, side="right") - 1, 0)
        read = windows(len(ids), self.special.window)[0].position
        units, unit = np.unique(word[read], return_inverse=True)
        return Pieces(ids, word, read, units, unit)

    def row(self, ids: NDArray[np.int64]) -> Tensor:
        """The window of these tokens, with the special ones."""
        read = ids[windows(len(ids), self.special.window)[0].position]
        return torch.from_numpy(
            np.concatenate([[self.special.cls_id], read, [self.special.sep_id]])
        )

    def without(self, pieces: Pieces, gone: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Logits, float64 [k], after deleting words: `gone` [k, w] says which units."""
        kept = [pieces.ids[~np.isin(pieces.word, pieces.units[one])] for one in gone]
        return self.logits([self.row(ids) for ids in kept])

    def logits(self, rows: Sequence[Tensor]) -> NDArray[np.float64]:
        """Logits of windows of tokens."""
        lengths = np.array([len(row) for row in rows])
        found = np.zeros(len(rows))
        with torch.inference_mode():
            for batch in length_batches(lengths, _BATCH_TOKENS):
                ids = torch.nn.utils.rnn.pad_sequence([rows[i] for i in batch], batch_first=True)
                sizes = torch.from_numpy(lengths[batch])[:, None]
                mask = (torch.arange(ids.shape[1])[None, :] < sizes).long()
                hidden = self.network.lower(ids, mask)
                found[batch] = self.network(hidden, mask)["logits"].numpy()
        return found

    def states(self, pieces: Pieces) -> tuple[list[Tensor], Tensor]:
        """Each layer's states [t, h] of the window's own tokens, and their plain terms [t]."""
        ids = self.row(pieces.ids)[None]
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            states = self.network.states(ids, mask)
            terms = self.network.terms_of(states[-1], mask)
        return [layer[0, 1:-1].clone() for layer in states], terms[0, 1:-1].clone()
