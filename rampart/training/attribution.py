"""A second head for the encoder that says which words a verdict rests on.

The terms of the encoder's logit are exact as a sum, but attention has mixed the tokens before they
are summed, so the largest terms need not belong to the words that matter. This head learns what
happens when words are deleted: texts of the training part are scored again and again without some
of their words, and the sum of the head's values over the words that went has to be what the logit
lost. It reads what one forward pass computes anyway, so that its answer costs next to nothing.

Sources: CXPlain (Schwab and Karlen, 2019) learns explanations from deletions; FastSHAP (Jethani et
al., 2022) learns them from random subsets of what is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rampart.data.labelled import Labelled
from rampart.errors import TrainingError
from rampart.training.attribution_head import (
    AttributionHead,
    AttributionReport,
    save_attribution,
)
from rampart.training.deletions import Deletions, Pieces
from rampart.training.network import EncoderNetwork

# Words that go at once, as shares of those in the window; 0 is a single word.
_SHARES = (0.0, 0.07, 0.15, 0.3)
SHARES_JUDGED = (0.1, 0.2)
OnProgress = Callable[[int, int], None]


class AttributionTraining(BaseModel):
    """How the head is fitted.

    Attributes:
        texts: of the training part, that are taken apart.
        deletions: of some of its words, that each is scored after.
        judged: texts of the validation part at the most, that decide whether the head is any
            better; never more than half as many as `texts`.
        width: of its hidden layer.
        epochs: over the texts.
        learning_rate: at its highest.
        seed: of the draws and the first weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: int = Field(default=800, ge=8)
    deletions: int = Field(default=16, ge=1)
    judged: int = Field(default=100, ge=8)
    width: int = Field(default=128, ge=1)
    epochs: int = Field(default=12, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    seed: int = 0


def fit_attribution(
    trained: Path,
    train: Labelled,
    validation: Labelled,
    settings: AttributionTraining | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> AttributionReport:
    """Fit the head of the network in `trained`, and write it there if it is better than none.

    Args:
        trained: folder of the trained network.
        train: the texts that the network was trained on.
        validation: texts that decide whether the head is kept.
        settings: how it is fitted.
        on_progress: told how many texts are done, of how many.

    Raises:
        TrainingError: the network cannot be read, or no text is long enough to be taken apart.
    """
    settings = settings or AttributionTraining()
    torch.manual_seed(settings.seed)
    network, _ = EncoderNetwork.load(trained)
    scorer = Deletions.of(trained, network)
    draw = np.random.default_rng(settings.seed)
    apart = train.sampled(settings.texts, settings.seed).texts
    fewest = max(8, min(settings.judged, settings.texts // 2))
    judged = validation.sampled(fewest, settings.seed).texts
    total = len(apart) + len(judged)
    head = AttributionHead.of(network, settings.width)
    examples = []
    for done, text in enumerate(apart):
        pieces = scorer.pieces(text)
        if len(pieces.units) > 1:
            examples.append(_example(scorer, head, pieces, settings.deletions, draw))
        _tell(on_progress, done, total)
    if not examples:
        raise TrainingError("No text has two words to tell apart.", "Give longer texts.")
    _fit(head, examples, settings)
    drops = []
    for done, text in enumerate(judged):
        pieces = scorer.pieces(text)
        if len(pieces.units) > 1:
            drops.append(_drops(scorer, head, pieces))
        _tell(on_progress, len(apart) + done, total)
    plain, learned = np.mean(drops, axis=0).tolist() if drops else ((0.0, 0.0), (0.0, 0.0))
    report = AttributionReport(
        texts=len(examples),
        judged=len(drops),
        plain=plain,
        learned=learned,
        kept=_better(learned, plain),
    )
    if report.kept:
        save_attribution(head, trained, settings.width, report)
    return report


def _tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done + 1, total)


# --- fitting ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Example:
    """What the head reads of a text, and what the logit lost when words went.

    Attributes:
        states: of the head's layers, float16 [t, h] each, in a list with a place for every layer.
        terms: plain ones, [t].
        gone: which tokens of the window went in each deletion, float [k, t].
        lost: what the logit lost, [k].
    """

    states: list[Tensor]
    terms: Tensor
    gone: Tensor
    lost: Tensor


def _example(
    scorer: Deletions, head: AttributionHead, pieces: Pieces, count: int, draw: np.random.Generator
) -> _Example:
    gone = np.zeros((count, len(pieces.units)), dtype=bool)
    for row in range(count):
        share = _SHARES[row % len(_SHARES)]
        size = min(max(1, round(share * len(pieces.units))), len(pieces.units) - 1)
        gone[row, draw.choice(len(pieces.units), size, replace=False)] = True
    whole = scorer.logits([scorer.row(pieces.ids)])[0]
    lost = whole - scorer.without(pieces, gone)
    states, terms = scorer.states(pieces)
    kept = [
        state.to(torch.float16) if layer in head.layers else torch.zeros(0)
        for layer, state in enumerate(states)
    ]
    tokens = torch.from_numpy(gone[:, pieces.unit].astype(np.float32))
    return _Example(kept, terms, tokens, torch.from_numpy(lost.astype(np.float32)))


def _fit(head: AttributionHead, examples: list[_Example], settings: AttributionTraining) -> None:
    """Least squares: the values of the tokens that went sum to what the logit lost."""
    batch = 8
    scale = torch.cat([example.lost for example in examples]).std().clamp(min=1e-6)
    steps = settings.epochs * -(-len(examples) // batch)
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, steps)
    draw = np.random.default_rng(settings.seed)
    head.train()
    for _ in range(settings.epochs):
        order = draw.permutation(len(examples))
        for first in range(0, len(order), batch):
            losses = [_loss(head, examples[at], scale) for at in order[first : first + batch]]
            torch.stack(losses).mean().backward()
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    head.eval()


def _values(head: AttributionHead, states: Sequence[Tensor], terms: Tensor) -> Tensor:
    """Values [t] of one text's own tokens, from their states [t, h] and plain terms [t]."""
    rows = [state[None] for state in states]
    values: Tensor = head(rows, terms[None], torch.ones_like(terms)[None])[0]
    return values


def _loss(head: AttributionHead, example: _Example, scale: Tensor) -> Tensor:
    values = _values(head, [state.float() for state in example.states], example.terms)
    missed = (example.gone @ values - example.lost) / scale
    # What many words do together is blurred by what they do to each other.
    weight = example.gone.sum(dim=1).clamp(min=1.0).rsqrt()
    return (weight * missed.square()).mean()


# --- judging ----------------------------------------------------------------------------------


def _better(learned: Sequence[float], plain: Sequence[float]) -> bool:
    return all(one > other for one, other in zip(learned, plain, strict=True))


def _drops(scorer: Deletions, head: AttributionHead, pieces: Pieces) -> NDArray[np.float64]:
    """What the logit loses towards the other class, [plain or learned, a tenth or a fifth]."""
    states, terms = scorer.states(pieces)
    whole = float(scorer.logits([scorer.row(pieces.ids)])[0])
    direction = 1.0 if whole > 0 else -1.0
    with torch.inference_mode():
        by = [terms.numpy(), _values(head, states, terms).numpy()]
    gone = []
    for values in by:
        worth = np.bincount(pieces.unit, weights=values, minlength=len(pieces.units))
        gone += strongest(direction * worth)
    lost: NDArray[np.float64] = direction * (whole - scorer.without(pieces, np.array(gone)))
    return lost.reshape(2, 2)


def strongest(worth: NDArray[np.floating[Any]]) -> list[NDArray[np.bool_]]:
    """The tenth and the fifth of the words that are worth most, at least one: bool [w] each."""
    order = np.argsort(-worth, kind="stable")
    found = []
    for share in SHARES_JUDGED:
        chosen = np.zeros(len(worth), dtype=bool)
        chosen[order[: max(1, round(share * len(worth)))]] = True
        found.append(chosen)
    return found
