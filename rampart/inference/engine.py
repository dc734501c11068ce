"""The engine: clean, score stage by stage, explain. Free of torch and of any server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rampart.bundle.manifest import Manifest
from rampart.bundle.store import verify
from rampart.data.cleaning import AlignedText, clean
from rampart.ensembles.base import Stage
from rampart.errors import InputError
from rampart.explain.contributions import Contributions, contributions
from rampart.inference.verdict import Explanation, Verdict
from rampart.models.base import Floats, Model, Terms, sigmoid
from rampart.models.kinds import KINDS

WARM_UP = "Subject of a warm-up\n\nAnswering this shows that every model of the bundle runs."


@dataclass(frozen=True)
class Engine:
    """A bundle that answers; safe to call from one thread at a time.

    Attributes:
        manifest: of the bundle.
        models: the base models by name.
    """

    manifest: Manifest
    models: Mapping[str, Model]

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Self:
        """Check a bundle and read its models; `threads` for each model, all cores by default.

        Raises:
            BundleError: the bundle is broken; the file is named.
        """
        manifest = verify(folder)
        models = {
            entry.name: KINDS[entry.kind].load(folder / entry.folder, threads=threads)
            for entry in manifest.models
        }
        return cls(manifest, models)

    def score(
        self,
        texts: Sequence[str],
        *,
        top_k: int = 10,
        explain: Explanation = "contributions",
        threshold: float | None = None,
    ) -> list[Verdict]:
        """Verdicts on texts as they were sent, in their order.

        Args:
            texts: subject, empty line, body, or any other text; HTML as it came.
            top_k: spans that each explanation keeps at the most.
            explain: the sum behind each logit, or none.
            threshold: probability from which a text is a threat; the bundle's by default.

        Raises:
            InputError: `top_k` or `threshold` is out of range.
        """
        if top_k < 0:
            raise InputError(f"top_k is {top_k}.", "Send a whole number from 0 on.")
        limit = self.manifest.threshold if threshold is None else threshold
        if not 0.0 <= limit <= 1.0:
            raise InputError(f"threshold is {limit}.", "Send a probability from 0 to 1.")
        aligned = [clean(text) for text in texts]
        answers: list[Verdict | None] = [None] * len(texts)
        asked = _Asked(self.models, aligned, explain=explain == "contributions")
        left = np.arange(len(texts))
        for stage in self.manifest.ensemble.stages:
            if not left.size:
                break
            logit = stage.combine({name: asked.logits(name, left) for name in stage.weights})
            settled = np.ones(len(left), dtype=bool)
            if stage.unsure is not None:
                probability = sigmoid(logit)
                settled = (probability < stage.unsure[0]) | (probability > stage.unsure[1])
            for row, value in zip(left[settled], logit[settled], strict=True):
                explanation = asked.explanation(stage, int(row), float(value), top_k)
                answers[row] = self._verdict(float(value), limit, stage.name, explanation)
            left = left[~settled]
        return [answer for answer in answers if answer is not None]

    def logits(self, texts: Sequence[str]) -> dict[str, Floats]:
        """Each base model's raw logits, float64 [n], whatever stage would have settled them."""
        aligned = [clean(text) for text in texts]
        return {
            name: model.score(aligned, explain=False).logit for name, model in self.models.items()
        }

    def warm_up(self) -> None:
        """Answer one text with every model, so that the first real one finds them ready."""
        self.logits([WARM_UP])
        self.score([WARM_UP])

    def _verdict(
        self, logit: float, limit: float, stage: str, explanation: Contributions
    ) -> Verdict:
        probability = float(sigmoid(np.array([logit]))[0])
        label = self.manifest.labels[int(probability >= limit)]
        return Verdict(label, probability, logit, stage, explanation)


class _Asked:
    """What the models said of this call's texts; each is asked once for each text."""

    def __init__(
        self, models: Mapping[str, Model], aligned: Sequence[AlignedText], *, explain: bool
    ) -> None:
        self.models = models
        self.aligned = aligned
        self.explain = explain
        self.scores: dict[str, dict[int, tuple[float, Terms | None]]] = {}

    def logits(self, name: str, rows: np.ndarray) -> Floats:
        known = self.scores.setdefault(name, {})
        missing = [int(row) for row in rows if int(row) not in known]
        if missing:
            texts = [self.aligned[row] for row in missing]
            scores = self.models[name].score(texts, explain=self.explain)
            terms = scores.terms or (None,) * len(missing)
            for row, logit, term in zip(missing, scores.logit, terms, strict=True):
                known[row] = (float(logit), term)
        return np.array([known[int(row)][0] for row in rows])

    def explanation(self, stage: Stage, row: int, logit: float, top_k: int) -> Contributions:
        if not self.explain:
            nothing = np.zeros(0, dtype=np.int64)
            return Contributions(nothing, nothing, np.zeros(0), logit)
        weighted = [
            terms.scaled(weight)
            for name, weight in stage.weights.items()
            if (terms := self.scores[name][row][1]) is not None
        ]
        return contributions(self.aligned[row], weighted, stage.intercept, top_k)
