"""What the encoder's upper layers are trained on: what the frozen ones give for each text.

It is computed once, by several processes of a machine in shares, and kept as 16-bit floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rampart.models.base import Floats
from rampart.models.encoder import WindowSettings, length_batches, windows
from rampart.training.memory import States
from rampart.training.network import EncoderNetwork, served_config
from rampart.training.ranks import Ranks
from rampart.training.tokens import TokenCache

NO_TEXT = -100.0
"""What is wanted of a row that is no text; transformers' Trainer does not count it as one."""
_AT_ONCE = 1_024  # Texts that the tokenizer is given.
# Of a batch: no slower on a core than four times as many, and processes that take one each in turn
# end nearly at once.
_TOKENS = 1_024


class Cutter:
    """Texts to token ids, cut to the window as the served encoder cuts them.

    Args:
        tokenizer_json: content of tokenizer.json.
        window: the encoder's.
        cache: where ids are found that were cut before; nowhere by default.
    """

    def __init__(
        self, tokenizer_json: str, window: WindowSettings, cache: TokenCache | None = None
    ) -> None:
        from tokenizers import Tokenizer

        self._json, self._cache = tokenizer_json, cache
        self.tokenizer = Tokenizer.from_str(tokenizer_json)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.window = window
        self.special = served_config(tokenizer_json, window, 0.0)

    def __call__(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids of each text, the special ones at its ends."""
        if self._cache is None:
            return self._cut(texts)
        how = self.window.model_dump_json()
        return self._cache.ids(texts, self._cut, tokenizer=self._json, how=how)

    def _cut(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        ends = np.array([self.special.cls_id]), np.array([self.special.sep_id])
        result = []
        # What the tokenizer says of a text takes far more memory than its ids.
        for start in range(0, len(texts), _AT_ONCE):
            some = list(texts[start : start + _AT_ONCE])
            for encoding in self.tokenizer.encode_batch(some, add_special_tokens=False):
                first = windows(len(encoding.ids), self.window)[0]
                ids = np.array(encoding.ids, dtype=np.int64)[first.position]
                result.append(np.concatenate([ends[0], ids, ends[1]]))
        return result


class FrozenStates(Dataset[dict[str, Any]]):
    """What the frozen layers give for each text, with what is wanted and its class's weight.

    Behind the last one is a row that is no text and weighs nothing.
    """

    def __init__(
        self, ids: list[NDArray[np.int64]], labels: NDArray[np.int8], targets: Floats
    ) -> None:
        self.targets = targets
        share = np.bincount(labels, minlength=2) / len(labels)
        self.weights = (0.5 / share)[labels].astype(np.float32)
        self.ids = ids
        self.hidden: States

    def fill(
        self,
        network: EncoderNetwork,
        ranks: Ranks,
        file: Path | None,
        on_done: Callable[[int], None],
    ) -> None:
        """Run the frozen layers, each process of a machine on its share of the texts."""
        network.eval()
        lengths = np.array([len(row) for row in self.ids])
        self.hidden = States(lengths, network.bert.config.hidden_size, file)
        with torch.inference_mode():
            for number, batch in enumerate(length_batches(lengths, _TOKENS)):
                if number % ranks.local_count == ranks.local % ranks.local_count:
                    # Copied, for what lies in a cache is not to be written to.
                    rows = [torch.tensor(self.ids[index]) for index in batch]
                    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
                    mask = _mask([len(row) for row in rows])
                    hidden = network.lower(padded, mask).to(torch.float16)
                    for index, states, row in zip(batch, hidden, rows, strict=True):
                        self.hidden[index] = states[: len(row)]
                on_done(len(batch))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == len(self):
            return {"hidden": self.hidden[0], "labels": NO_TEXT, "weights": 0.0}
        return {
            "hidden": self.hidden[index],
            "labels": float(self.targets[index]),
            "weights": float(self.weights[index]),
        }


def _mask(lengths: Sequence[int]) -> Tensor:
    return (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()


def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Rows of a dataset as a batch, padded to the longest: what the network's `forward` takes."""
    hidden = [row["hidden"] for row in rows]
    return {
        "hidden": torch.nn.utils.rnn.pad_sequence(hidden, batch_first=True),
        "attention_mask": _mask([len(states) for states in hidden]),
        "labels": torch.tensor([row["labels"] for row in rows]),
        "weights": torch.tensor([row["weights"] for row in rows]),
    }
