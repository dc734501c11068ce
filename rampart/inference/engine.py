"""The engine: clean, score stage by stage, explain. Free of torch and of any server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rampart.bundle.manifest import Manifest
from rampart.bundle.store import verify
from rampart.data.cleaning import AlignedText, clean
from rampart.ensembles.base import Stage
from rampart.errors import InputError
from rampart.explain.contributions import Contributions, contributions
from rampart.inference.options import ScoreOptions
from rampart.inference.selection import select
from rampart.inference.verdict import Explanation, Verdict
from rampart.models.base import Device, Floats, Keep, Model, Terms, sigmoid
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
    def load(
        cls,
        folder: Path,
        *,
        threads: int | None = None,
        cascade: bool = True,
        keep: Keep | None = None,
        device: Device = "cpu",
    ) -> Self:
        """Check a bundle and read its models.

        Args:
            folder: of the bundle.
            threads: for each model; all cores by default.
            cascade: whether texts may be settled before all models are asked, where the bundle
                says that this is safe.
            keep: for what models make of their files for this machine; nothing by default.
            device: that models compute on; "auto" is the GPU where there is one.

        Raises:
            InputError: there is no such device.
            BundleError: the bundle is broken; the file is named.
        """
        manifest = verify(folder)
        models = {
            entry.name: KINDS[entry.kind].load(
                folder / entry.folder, threads=threads, keep=keep, device=device
            )
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
        chosen = None if models is None else tuple(models)
        return self.begin(texts, ScoreOptions(top_k, explain, threshold, chosen)).finish()

    def begin(self, texts: Sequence[str], options: ScoreOptions) -> Scoring:
        """As `score`, with the first stage alone: what it settles need not wait for the rest.

        Raises:
            InputError: as `score` does.
        """
        if options.top_k < 0:
            raise InputError(f"top_k is {options.top_k}.", "Send a whole number from 0 on.")
        selection = select(self.manifest, options.models)
        limit = selection.threshold if options.threshold is None else options.threshold
        if not 0.0 <= limit <= 1.0:
            raise InputError(f"threshold is {limit}.", "Send a probability from 0 to 1.")
        aligned = [clean(text) for text in texts]
        asked = _Asked(self.models, aligned, explain=options.explain == "contributions")
        for name in selection.asked:
            asked.logits(name, np.arange(len(texts)))
        scoring = Scoring(self.manifest, selection.stages, asked, limit, options.top_k)
        scoring.advance()
        return scoring

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


class Scoring:
    """Texts on their way through the stages; one thread at a time may push them on.

    Another may begin others meanwhile: a model that only a later stage asks is asked by whoever
    pushes on, and those of the first stage by whoever begins.
    """

    def __init__(
        self,
        manifest: Manifest,
        stages: Sequence[Stage],
        asked: _Asked,
        threshold: float,
        top_k: int,
    ) -> None:
        self._manifest = manifest
        self._stages = tuple(stages)
        self._next = 0
        self.asked = asked
        self._threshold = threshold
        self._top_k = top_k
        self._verdicts: dict[int, Verdict] = {}
        self._left = np.arange(len(asked.aligned))

    @property
    def settled(self) -> Mapping[int, Verdict]:
        """The verdicts that are there, by row."""
        return self._verdicts

    @property
    def rows(self) -> list[int]:
        """Those of the texts that no stage has settled yet."""
        rows: list[int] = self._left.tolist()
        return rows

    @property
    def left(self) -> int:
        """Texts that no stage has settled yet."""
        return len(self._left)

    def advance(self) -> dict[int, Verdict]:
        """Ask the next stage about what is left; the verdicts that it settles, by row."""
        if not self.left:
            return {}
        stage, left = self._stages[self._next], self._left
        self._next += 1
        logit = stage.combine({name: self.asked.logits(name, left) for name in stage.weights})
        sure = stage.sure(logit, self._threshold)
        self._left = left[~sure]
        settled = self._made(stage, left[sure], logit[sure])
        self._verdicts |= settled
        return settled

    def rest(self) -> dict[int, Verdict]:
        """Ask all stages that it takes; the verdicts on what was left, by row."""
        found: dict[int, Verdict] = {}
        while self.left:
            found |= self.advance()
        return found

    def rest_with(self, others: Sequence[Self]) -> list[dict[int, Verdict]]:
        """As `rest`, for this and others that were begun alike, all models asked of all at once.

        Returns:
            The verdicts on what each left, by its own rows: this one's first.
        """
        if not others:
            return [self.rest()]
        parts = [self, *others]
        asked = self.asked.joined([(part.asked, row) for part in parts for row in part.rows])
        stages = self._stages[self._next :]
        joint = Scoring(self._manifest, stages, asked, self._threshold, self._top_k)
        verdicts = iter(joint.finish())
        return [part.take(verdicts) for part in parts]

    def take(self, verdicts: Iterator[Verdict]) -> dict[int, Verdict]:
        """Take the verdicts on all that was left, in its order; the same by row."""
        found = dict(zip(self.rows, verdicts, strict=False))
        self._verdicts |= found
        self._left = self._left[:0]
        return found

    def finish(self) -> list[Verdict]:
        """The verdicts on all texts, in their order."""
        self.rest()
        return [self._verdicts[row] for row in range(len(self._verdicts))]

    def _made(self, stage: Stage, rows: NDArray[np.int64], logit: Floats) -> dict[int, Verdict]:
        labels, limit = self._manifest.labels, self._threshold
        probability = sigmoid(logit).tolist()
        models = self._probabilities(rows.tolist())
        return {
            row: Verdict(
                labels[int(chance >= limit)],
                chance,
                value,
                stage.name,
                self.asked.explanation(stage, row, value, self._top_k),
                models[row],
            )
            for row, chance, value in zip(rows.tolist(), probability, logit.tolist(), strict=True)
        }

    def _probabilities(self, rows: Sequence[int]) -> dict[int, dict[str, float]]:
        """Calibrated probabilities of the models that were asked, for each of the rows."""
        found: dict[int, dict[str, float]] = {row: {} for row in rows}
        for entry in self._manifest.models:
            known = self.asked.scores.get(entry.name, {})
            here = [row for row in rows if row in known]
            logits = np.array([known[row][0] for row in here], dtype=np.float64)
            values = sigmoid(entry.calibration(logits)).tolist()
            for row, value in zip(here, values, strict=True):
                found[row][entry.name] = value
        return found


class _Asked:
    """What the models said of this call's texts; each is asked once for each text."""

    def __init__(
        self, models: Mapping[str, Model], aligned: Sequence[AlignedText], *, explain: bool
    ) -> None:
        self.models = models
        self.aligned = aligned
        self.explain = explain
        self.scores: dict[str, dict[int, tuple[float, Terms | None]]] = {}

    def joined(self, places: Sequence[tuple[_Asked, int]]) -> _Asked:
        """Rows of several calls that ask as this one does, as those of one."""
        aligned = [asked.aligned[row] for asked, row in places]
        whole = _Asked(self.models, aligned, explain=self.explain)
        for place, (asked, row) in enumerate(places):
            for name, known in asked.scores.items():
                if row in known:
                    whole.scores.setdefault(name, {})[place] = known[row]
        return whole

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
