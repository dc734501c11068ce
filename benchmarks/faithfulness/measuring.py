"""One text by every method: its explanations, and what becomes of the logit when words go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import BaseModel, TypeAdapter

from rampart.explain.attribution import Attribution, Budget, Score, from_contributions
from rampart.explain.faithfulness import Faithfulness, at_random, faithfulness
from rampart.explain.gradients import integrated_gradients
from rampart.explain.lime_values import lime_values
from rampart.explain.occlusion import occlusion
from rampart.explain.shap_values import shap_values
from rampart.explain.stability import Agreement, Stability, agreement, stability
from rampart.inference.engine import Engine
from rampart.models.base import Floats
from rampart.models.encoder import PLAIN, EncoderModel

VERDICT, ENCODER = "verdict", "encoder"
COMES = "comes with the verdict"
UNLEARNED = "the same, its encoder's plain terms"
Explain = Callable[[str], Attribution]
_BATCH = 32


class Measured(BaseModel):
    """What was found of one text.

    Attributes:
        of: the verdict, or the encoder alone.
        row: the text's number.
        campaign: the text's.
        faithful: by each method.
        agreeing: each pair of methods.
        stable: by each method and harmless edit; empty where it was not asked for.
    """

    of: str
    row: int
    campaign: str
    faithful: list[Faithfulness]
    agreeing: list[Agreement]
    stable: list[Stability]


KEPT: TypeAdapter[Measured] = TypeAdapter(Measured)


class Scorer:
    """The models' logits of texts, each text scored once for the verdict and the encoder both."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._known: dict[str, dict[str, float]] = {}

    def forget(self) -> None:
        """Forget what was scored: the next text shares nothing with the last one."""
        self._known.clear()

    def of(self, target: str) -> Score:
        """Logits of the verdict, or of one model as the bundle calibrates it."""
        if target == VERDICT:
            stage = self.engine.manifest.ensemble.stages[-1]
            names = list(stage.weights)
            return lambda texts: stage.combine(self._logits(texts, names))
        scale = next(e.calibration for e in self.engine.manifest.models if e.name == target)
        return lambda texts: scale(self._logits(texts, [target])[target])

    def _logits(self, texts: Sequence[str], names: Sequence[str]) -> dict[str, Floats]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            found = self.engine.logits(fresh)
            for row, text in enumerate(fresh):
                self._known[text] = {name: float(values[row]) for name, values in found.items()}
        return {name: np.array([self._known[text][name] for text in texts]) for name in names}


@dataclass(frozen=True)
class Gradients:
    """What integrated gradients need: the trained network, which no bundle holds."""

    network: Path
    steps: int = 16

    def method(self, engine: Engine) -> Explain:
        """Explains by the gradients of the encoder's logit, before it is calibrated."""
        from rampart.training.network import EncoderNetwork

        network, _ = EncoderNetwork.load(self.network)
        encoder = _encoder(engine)
        return lambda text: integrated_gradients(
            network.eval(), encoder.tokenizer, encoder.config, text, steps=self.steps
        )


def methods(
    engine: Engine, target: str, *, evaluations: int, seed: int, gradients: Gradients | None
) -> dict[str, Explain]:
    """Every method by its name; those that score texts may score so many."""
    scorer = Scorer(engine)
    # Not the shared one: a method pays for what it asks, whoever asked before.
    score = scorer.of(target)
    budget = Budget(evaluations)

    def fresh(explain: Explain) -> Explain:
        def explained(text: str) -> Attribution:
            scorer.forget()
            return explain(text)

        return explained

    models = None if target == VERDICT else (target,)
    found: dict[str, Explain] = {COMES: lambda text: _coming(engine, text, models)}
    if engine.method != PLAIN:
        plain = _unlearned(engine)
        found[UNLEARNED] = lambda text: _coming(plain, text, models)
    if gradients and target == ENCODER:
        found["integrated gradients"] = gradients.method(engine)
    found["SHAP"] = fresh(
        lambda text: shap_values(score, text, budget=budget, seed=seed, batch=_BATCH)
    )
    found["LIME"] = fresh(
        lambda text: lime_values(
            score, text, budget=budget, seed=seed, samples=evaluations - 1, batch=_BATCH
        )
    )
    found["occlusion"] = fresh(lambda text: occlusion(score, text, budget=budget, batch=_BATCH))
    found["random"] = fresh(lambda text: at_random(score, text, seed=seed))
    return {name: _named(name, explain) for name, explain in found.items()}


def measure(
    scorer: Scorer,
    target: str,
    explains: Mapping[str, Explain],
    text: str,
    *,
    row: int,
    campaign: str,
    seed: int,
    edits: bool,
) -> tuple[Measured, list[Attribution]]:
    """Explain one text by every method and hold them to the same deletions."""
    found = [explain(text) for explain in explains.values()]
    score = scorer.of(target)
    stable: list[Stability] = []
    if edits:
        for name, attribution in zip(explains, found, strict=True):
            stable += stability(explains[name], text, explained=attribution, seed=seed)
    measured = Measured(
        of=target,
        row=row,
        campaign=campaign,
        faithful=faithfulness(score, text, found, seed=seed, batch=_BATCH),
        agreeing=[agreement(text, one, other) for one, other in combinations(found, 2)],
        stable=stable,
    )
    return measured, found


def _coming(engine: Engine, text: str, models: Sequence[str] | None) -> Attribution:
    """What a verdict carries, all of it; its cost is what the verdict alone does not take."""
    begun = time.perf_counter()
    engine.score([text], explain="none", models=models)
    alone = time.perf_counter() - begun
    begun = time.perf_counter()
    verdict = engine.score([text], top_k=len(text), models=models)[0]
    extra = time.perf_counter() - begun - alone
    return from_contributions(verdict.explanation, seconds=extra)


def _named(name: str, explain: Explain) -> Explain:
    return lambda text: replace(explain(text), method=name)


def _encoder(engine: Engine) -> EncoderModel:
    return next(model for model in engine.models.values() if isinstance(model, EncoderModel))


def _unlearned(engine: Engine) -> Engine:
    """The same engine, its encoder without the second head."""
    models = {
        name: replace(model, config=model.config.model_copy(update={"method": PLAIN}))
        if isinstance(model, EncoderModel)
        else model
        for name, model in engine.models.items()
    }
    return Engine(engine.manifest, models)
