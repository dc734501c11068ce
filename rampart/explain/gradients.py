"""Integrated gradients of the encoder as torch has it: a reference, at the cost of many passes.

The logit's gradient is averaged along the straight way from the embeddings of as many [PAD] tokens
to the text's own, and multiplied by that way (Sundararajan, Taly and Yan, 2017); with enough steps
the values sum to the logit less that of the padding.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, Protocol

import numpy as np

from rampart.data.cleaning import clean
from rampart.errors import InputError
from rampart.explain.attribution import Attribution, from_contributions
from rampart.explain.contributions import contributions
from rampart.models.base import Ints, Terms
from rampart.models.encoder import EncoderConfig, windows

METHOD = "integrated gradients"


class Network(Protocol):
    """What is asked of the network: `rampart.training.network.EncoderNetwork`, all layers free.

    Attributes:
        cut: how many layers `lower` runs; 0, as the network has it once it is loaded.
    """

    cut: int

    def lower(self, input_ids: Any, attention_mask: Any) -> Any:
        """Embeddings [n, t, h] of tokens [n, t]."""

    def __call__(self, hidden: Any, attention_mask: Any) -> Any:
        """A dictionary with the `logits` [n] of embeddings [n, t, h]."""


def integrated_gradients(
    network: Network, tokenizer: Any, config: EncoderConfig, text: str, *, steps: int = 16
) -> Attribution:
    """Explain a text by the gradients of its logit; `base` is the logit of padding alone.

    Args:
        network: in evaluation mode, as it is loaded.
        tokenizer: the network's own, without padding and truncation.
        config: its window, and the ids of the special tokens.
        text: as sent.
        steps: along the way from the padding to the text; 8 to 32 are usual.

    Raises:
        InputError: there are no steps, or the network's embeddings are not what `lower` gives.
    """
    if steps < 1:
        raise InputError(f"{steps} steps lead nowhere.", "Give at least 1.")
    if network.cut:
        raise InputError(
            f"The network's `lower` runs {network.cut} layers.", "Load it, or train all its layers."
        )
    started = perf_counter()
    aligned = clean(text)
    encoding = tokenizer.encode(aligned.text, add_special_tokens=False)
    ids = np.array(encoding.ids, dtype=np.int64)
    spans = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    value, base, logit, calls = np.zeros(len(ids)), 0.0, 0.0, 0
    for window in windows(len(ids), config.window):
        worth, start, end = _window(network, ids[window.position], config, steps)
        np.add.at(value, window.position, window.share * worth)
        base, logit = base + window.share * start, logit + window.share * end
        calls += steps + 2
    shown = spans[:, 1] > spans[:, 0]
    terms = Terms(spans[shown, 0], spans[shown, 1], value[shown], base)
    parts = contributions(aligned, [terms], 0.0, len(aligned.text))
    found = from_contributions(parts)
    return Attribution(
        start=found.start,
        end=found.end,
        value=found.value,
        base=base,
        logit=logit,
        method=METHOD,
        calls=calls,
        seconds=perf_counter() - started,
    )


def _window(
    network: Network, own: Ints, config: EncoderConfig, steps: int
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float, float]:
    """What each token of a window is worth, and the logits of padding and of the window."""
    import torch

    rows = np.full((2, len(own) + 2), config.pad_id, dtype=np.int64)
    rows[:, 0], rows[:, -1] = config.cls_id, config.sep_id
    rows[1, 1:-1] = own
    ids = torch.from_numpy(rows)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        ends = network.lower(ids, mask)
        base, logit = network(ends, mask)["logits"].double().tolist()
    # Midpoints: the error of the sum falls with the square of the steps.
    parts = (torch.arange(steps, dtype=ends.dtype) + 0.5) / steps
    total = torch.zeros_like(ends[0])
    for part in parts:
        # One by one: at 512 tokens a batch of all steps takes gigabytes.
        hidden = (ends[:1] + part * (ends[1:] - ends[:1])).requires_grad_(requires_grad=True)
        total += torch.autograd.grad(network(hidden, mask[:1])["logits"].sum(), hidden)[0][0]
    worth = ((ends[1] - ends[0]) * total / steps).sum(dim=-1).double().numpy()
    return worth[1:-1], base, logit
