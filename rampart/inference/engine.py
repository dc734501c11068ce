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
from rampart.inference.selection import select
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
    def load(cls, folder: Path, *, threads: int | None = None, cascade: bool = True) -> Self:
        """Check a bundle and read its models.

        Args:
            folder: of the bundle.
            threads: for each model; all cores by default.
            cascade: whether texts may be settled before all models are asked, where the bundle
                says that this is safe.

        Raises:
            BundleError: the bundle is broken; the file is named.
        """
        manifest = verify(folder)
        models = {
            entry.name: KINDS[entry.kind].load(folder / entry.folder, threads=threads)
            for entry in manifest.models
        }
        if not cascade:
            whole = manifest.ensemble.model_copy(update={"stages": manifest.ensemble.stages[-1:]})
            manifest = manifest.model_copy(update={"ensemble": whole})
        return cls(manifest, models)

    def score(
        self,
        texts: Sequence[str],
        *,
        top_k: int = 10,
        explain: Explanation = "contributions",
        threshold: float | None = None,
        models: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """Verdicts on texts as they were sent, in their order.

        Args:
            texts: subject, empty line, body, or any other text; HTML as it came.
            top_k: spans that each explanation keeps at the most.
            explain: the sum behind each logit, or none.
            threshold: probability from which a text is a threat; by default the bundle's, or the
                model's where one alone is asked.
            models: which to ask; see `rampart.inference.selection.select`.

        Raises:
            InputError: `top_k` or `threshold` is out of range, or there is no such model.
        """
        if top_k < 0:
            raise InputError(f"top_k is {top_k}.", "Send a whole number from 0 on.")
        selection = select(self.manifest, models)
        limit = selection.threshold if threshold is None else threshold
        if not 0.0 <= limit <= 1.0:
            raise InputError(f"threshold is {limit}.", "Send a probability from 0 to 1.")
        aligned = [clean(text) for text in texts]
        asked = _Asked(self.models, aligned, explain=explain == "contributions")
        for name in selection.asked:
            asked.logits(name, np.arange(len(texts)))
        settled = _settle(selection.stages, asked, len(texts), limit)
        probabilities = self._probabilities(asked, len(texts))
        return [
            self._verdict(
                limit,
                value,
                stage.name,
                asked.explanation(stage, row, value, top_k),
                probabilities[row],
            )
            for row, (stage, value) in enumerate(settled)
        ]

    @property
    def method(self) -> str:
        """How contributions are come by: `terms`, or `learned` where a model learned its own."""
        methods = {self.models[name].method for name in self.manifest.ensemble.models}
        return "learned" if "learned" in methods else "terms"

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
        self,
        limit: float,
        value: float,
        stage: str,
        explanation: Contributions,
        models: Mapping[str, float],
    ) -> Verdict:
        probability = float(sigmoid(np.array([value]))[0])
        label = self.manifest.labels[int(probability >= limit)]
        return Verdict(label, probability, value, stage, explanation, models)

    def _probabilities(self, asked: _Asked, count: int) -> list[dict[str, float]]:
        """Calibrated probabilities of the models that were asked, for each text."""
        found: list[dict[str, float]] = [{} for _ in range(count)]
        for entry in self.manifest.models:
            rows = asked.scores.get(entry.name, {})
            logits = np.array([logit for logit, _ in rows.values()], dtype=np.float64)
            values = sigmoid(entry.calibration(logits)).tolist()
            for row, value in zip(rows, values, strict=True):
                found[row][entry.name] = value
        return found


def _settle(
    stages: Sequence[Stage], asked: _Asked, count: int, threshold: float
) -> list[tuple[Stage, float]]:
    """The stage that settled each text, and its logit there."""
    found: dict[int, tuple[Stage, float]] = {}
    left = np.arange(count)
    for stage in stages:
        if not left.size:
            break
        logit = stage.combine({name: asked.logits(name, left) for name in stage.weights})
        sure = stage.sure(logit, threshold)
        for row, value in zip(left[sure].tolist(), logit[sure].tolist(), strict=True):
            found[row] = stage, value
        left = left[~sure]
    return [found[row] for row in range(count)]


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
