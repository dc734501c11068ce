"""The encoder's second head: what it computes, and how it lies on disk beside its network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from rampart.errors import TrainingError
from rampart.training.network import EncoderNetwork

STATE_FILE = "attribution.safetensors"
DOCUMENT_FILE = "attribution.json"


class AttributionReport(BaseModel):
    """What came of it.

    Attributes:
        texts: that were taken apart.
        judged: that decided.
        plain: what the logit loses on average, towards the other class, when the tenth and then
            the fifth of the words with the largest plain terms is deleted.
        learned: the same by the head's values.
        kept: whether the head did better at both, and is served.
    """

    texts: int
    judged: int
    plain: tuple[float, float]
    learned: tuple[float, float]
    kept: bool


class AttributionDocument(BaseModel):
    """What attribution.json holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    layers: tuple[int, ...]
    report: AttributionReport


class AttributionHead(nn.Module):
    """Token states of several layers to what each token is worth, beside its plain term.

    What a word is worth depends on whether others say the same, so the tokens look at each other
    once, in a space as narrow as the hidden layer.
    """

    def __init__(self, hidden: int, layers: Sequence[int], width: int) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.norm = nn.LayerNorm(hidden * len(self.layers))
        self.inner = nn.Linear(hidden * len(self.layers), width)
        self.seen_norm = nn.LayerNorm(width)
        self.looks = nn.Linear(width, 3 * width)
        self.sees = nn.Linear(width, width)
        self.outer_norm = nn.LayerNorm(width)
        self.outer = nn.Linear(width, 1)
        self.dropout = nn.Dropout(0.1)
        # It begins as the plain terms.
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    @classmethod
    def of(cls, network: EncoderNetwork, width: int) -> Self:
        """An unfitted head that reads the embeddings, the middle and the last two layers."""
        depth = len(network.bert.encoder.layer)
        layers = sorted({0, depth // 2, depth - 1, depth})
        return cls(network.bert.config.hidden_size, layers, width)

    def forward(self, states: Sequence[Tensor], terms: Tensor, own: Tensor) -> Tensor:
        """Values of tokens.

        Args:
            states: of every layer, each [n, t, h].
            terms: plain ones, [n, t].
            own: 1 for the text's own tokens and 0 for special ones and padding, [n, t].

        Returns:
            [n, t], 0 where `own` is.
        """
        read = self.norm(torch.cat([states[layer] for layer in self.layers], dim=-1))
        inner = self.inner(self.dropout(read))
        query, key, value = self.looks(self.seen_norm(inner)).chunk(3, dim=-1)
        blocked = (1.0 - own[:, None, :].to(inner.dtype)) * -1e4
        weight = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]) + blocked
        inner = inner + self.sees(torch.softmax(weight, dim=-1) @ value)
        found = self.outer(self.dropout(nn.functional.gelu(self.outer_norm(inner))))
        return (terms + found.squeeze(-1)) * own


def load_attribution(
    trained: Path, network: EncoderNetwork
) -> tuple[AttributionHead, AttributionReport] | None:
    """The head beside a trained network, ready to answer, and what was measured of it, if any.

    Raises:
        TrainingError: it cannot be read.
    """
    from safetensors.torch import load_file

    if not (trained / DOCUMENT_FILE).exists():
        return None
    try:
        document = AttributionDocument.model_validate_json((trained / DOCUMENT_FILE).read_bytes())
        head = AttributionHead(network.bert.config.hidden_size, document.layers, document.width)
        head.load_state_dict(load_file(str(trained / STATE_FILE)))
    except Exception as error:  # safetensors raises one of its own, torch any
        raise TrainingError(
            f"The attribution head in {trained} cannot be read: {error}.", "Train it again."
        ) from error
    return head.eval(), document.report


def save_attribution(
    head: AttributionHead, folder: Path, width: int, report: AttributionReport
) -> None:
    """Write the head beside its network."""
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
    save_file(state, str(folder / STATE_FILE))
    document = AttributionDocument(width=width, layers=head.layers, report=report)
    (folder / DOCUMENT_FILE).write_text(document.model_dump_json(indent=2), encoding="utf-8")
