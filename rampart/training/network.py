"""The encoder as torch trains it: a BERT whose logit is a sum over tokens.

Mean pooling over the text's own tokens (the two special ones left out) and a linear head commute,
so each token's term is w.h_t / n and their sum is the logit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, BertConfig, BertModel
from transformers.utils import logging as transformers_logging

from rampart.errors import TrainingError
from rampart.features.pretrained import PACKAGED_BASE, base_folder
from rampart.models.encoder import TOKENIZER_FILE, EncoderConfig, WindowSettings

STATE_FILE = "model.safetensors"
NETWORK_FILE = "network.json"


class NetworkDocument(BaseModel):
    """What network.json holds: the architecture, and how texts are cut for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bert: dict[str, Any]
    window: WindowSettings


def base_tokenizer(base: str) -> str:
    """The tokenizer.json of `base`.

    Raises:
        TrainingError: there is none.
    """
    from transformers.utils import cached_file

    try:
        return Path(cached_file(base_folder(base), TOKENIZER_FILE)).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"The base encoder {base} has no {TOKENIZER_FILE} that can be read: {error}.",
            "Save its fast tokenizer beside its weights.",
        ) from error


class EncoderNetwork(nn.Module):
    """A BERT and its head.

    `lower` runs what is frozen, once; `forward` what is trained, on what `lower` gave.

    Attributes:
        checkpointing: whether activations of trained layers are computed again for the gradient.
    """

    # To transformers' Trainer: `forward` is told how many texts a step has.
    accepts_loss_kwargs = True

    def __init__(self, bert: BertModel, *, trained_layers: int) -> None:
        super().__init__()
        self.checkpointing = False
        self.bert = bert
        self.head = nn.Linear(bert.config.hidden_size, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        depth = len(bert.encoder.layer)
        if not 1 <= trained_layers <= depth:
            raise TrainingError(
                f"trained_layers is {trained_layers}.", f"Choose from 1 to {depth} layers."
            )
        self.cut = depth - trained_layers
        frozen = [bert.embeddings, *bert.encoder.layer[: self.cut]]
        for part in frozen:
            part.requires_grad_(requires_grad=False)

    @classmethod
    def from_base(cls, base: str, *, trained_layers: int, attention: str = "sdpa") -> Self:
        """Start from pretrained weights (safetensors only).

        Raises:
            TrainingError: `base` cannot be read, or is not a BERT.
        """
        folder = base_folder(base)
        transformers_logging.set_verbosity_error()
        try:
            kind = AutoConfig.from_pretrained(folder).model_type
            if kind != "bert":
                raise ValueError(f"it is a {kind} and not a BERT")  # noqa: TRY301 - one way out
            bert = BertModel.from_pretrained(
                folder,
                add_pooling_layer=False,
                attn_implementation=attention,
                use_safetensors=True,
            )
        except Exception as error:  # safetensors raises one of its own, torch any
            raise TrainingError(
                f"The base encoder {base} cannot be read: {error}.",
                f"Name a folder with config.json and model.safetensors, or {PACKAGED_BASE}.",
            ) from error
        return cls(bert, trained_layers=trained_layers)

    def lower(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Hidden states below the trained layers, [n, t, h]."""
        hidden = self.bert.embeddings(input_ids=input_ids)
        return self._through(0, self.cut, hidden, attention_mask)

    def terms(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """What each token adds to the logit, [n, t], from what `lower` gave."""
        top = self._through(self.cut, len(self.bert.encoder.layer), hidden, attention_mask)
        return self.terms_of(top, attention_mask)

    def terms_of(self, top: Tensor, attention_mask: Tensor) -> Tensor:
        """What each token adds to the logit, [n, t], from the last layer's states [n, t, h]."""
        own = own_tokens(attention_mask).to(top.dtype)
        count = own.sum(dim=1, keepdim=True).clamp(min=1.0)
        return (top @ self.head.weight[0]) * own / count

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> list[Tensor]:
        """The embeddings and what each layer makes of them, each [n, t, h]."""
        hidden = [self.bert.embeddings(input_ids=input_ids)]
        for layer in range(len(self.bert.encoder.layer)):
            hidden.append(self._through(layer, layer + 1, hidden[-1], attention_mask))
        return hidden

    def forward(
        self,
        hidden: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> dict[str, Tensor]:
        """Logits [n], and the weighted log loss where labels are given.

        Where these are some of a step's texts, `num_items_in_batch` is how many the step has: the
        losses of its parts then add up to that of the whole, however uneven they are.
        """
        logits = self.terms(hidden, attention_mask).sum(dim=1) + self.head.bias[0]
        if labels is None:
            return {"logits": logits}
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, labels, weight=weights, reduction="sum"
        )
        loss = loss / (len(labels) if num_items_in_batch is None else num_items_in_batch)
        return {"loss": loss, "logits": logits}

    def _through(self, first: int, last: int, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        blocked = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * -1e4
        for layer in self.bert.encoder.layer[first:last]:
            if self.checkpointing and self.training:
                hidden = checkpoint(layer, hidden, blocked, use_reentrant=False)[0]
            else:
                hidden = layer(hidden, attention_mask=blocked)[0]
        return hidden

    def save(self, folder: Path, *, tokenizer: str, window: WindowSettings) -> None:
        """Write model.safetensors, network.json and tokenizer.json."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, str(folder / STATE_FILE))
        document = NetworkDocument(bert=self.bert.config.to_dict(), window=window)
        (folder / NETWORK_FILE).write_text(document.model_dump_json(indent=2), encoding="utf-8")
        (folder / TOKENIZER_FILE).write_text(tokenizer, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, attention: str = "sdpa") -> tuple[Self, NetworkDocument]:
        """Read what `save` wrote, ready to answer.

        Raises:
            TrainingError: a file is missing or does not fit the others.
        """
        from safetensors.torch import load_file

        try:
            document = NetworkDocument.model_validate_json((folder / NETWORK_FILE).read_bytes())
            config = BertConfig.from_dict(document.bert)
            config._attn_implementation = attention  # noqa: SLF001 - transformers' own way
            bert = BertModel(config, add_pooling_layer=False)
            network = cls(bert, trained_layers=config.num_hidden_layers)
            network.load_state_dict(load_file(str(folder / STATE_FILE)))
        except Exception as error:  # safetensors raises one of its own, torch any
            raise TrainingError(
                f"The trained encoder in {folder} cannot be read: {error}.", "Train it again."
            ) from error
        return network.eval(), document


def own_tokens(attention_mask: Tensor) -> Tensor:
    """The mask without the first and the last of each row's tokens: [CLS] and [SEP]."""
    later = nn.functional.pad(attention_mask[:, 1:], (0, 1))
    own = attention_mask * later
    return torch.cat([torch.zeros_like(own[:, :1]), own[:, 1:]], dim=1)


def served_config(tokenizer_json: str, window: WindowSettings, bias: float) -> EncoderConfig:
    """What config.json of the served encoder holds.

    Raises:
        TrainingError: the tokenizer has no BERT special tokens.
    """
    try:
        listed = json.loads(tokenizer_json)["added_tokens"]
        added = {token["content"]: token["id"] for token in listed}
        return EncoderConfig(
            window=window,
            cls_id=added["[CLS]"],
            sep_id=added["[SEP]"],
            pad_id=added["[PAD]"],
            bias=bias,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"The tokenizer does not tell the id of a token: {error}.",
            "Choose a base encoder of the BERT family.",
        ) from error
