"""The explainer as a KServe model: V1's :explain, and V2 by the request parameter `explain`."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.explain.attribution import Attribution
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from rampart.models.base import Floats
from serving.explainer.client import Judged, PredictorClient
from serving.explainer.methods import METHODS, strongest
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Effort, Limits, Options, ScoreRequest
from serving.predictor.model import ProtocolModel
from serving.predictor.worker import Worker

_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Spent:
    """What the explanations of one request cost."""

    evaluations: int = 0
    seconds: float = 0.0
    complete: bool = True
    kept: int = 0

    def with_one(self, attribution: Attribution, *, kept: bool) -> _Spent:
        """The same with one more; what was kept costs nothing again."""
        return _Spent(
            self.evaluations + (0 if kept else attribution.calls),
            self.seconds + (0.0 if kept else attribution.seconds),
            self.complete and attribution.complete,
            self.kept + kept,
        )

    def parameters(self, effort: Effort) -> Mapping[str, str | float]:
        """As the response says it."""
        return {
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 3),
            "complete": str(self.complete).lower(),
            "from_cache": self.kept,
            "seed": effort.seed,
        }


class ExplainerModel(ProtocolModel):
    """Explains the predictor's verdicts by asking it about the same texts with words left out."""

    def __init__(
        self,
        name: str,
        predictor: PredictorClient,
        worker: Worker,
        limits: Limits,
        *,
        batch: int,
        kept: int,
    ) -> None:
        super().__init__(name, worker, limits)
        self.thread = worker
        self.predictor_client = predictor
        self.batch = batch
        self.kept = _Kept(kept)

    def members(self) -> dict[str, Any]:
        """The methods there are."""
        return {"methods": list(METHODS), "evaluations": self.limits.evaluations}

    async def predict(
        self,
        payload: Call,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> tuple[Call, Answer]:
        """Explain the texts on the worker's thread.

        Raises:
            OverloadedError: the queue is full, or the predictor does not answer.
            InputError: the predictor refuses the request.
        """
        answer: Answer = await self.thread.run(partial(self._answer, payload.request))
        return payload, answer

    async def explain(
        self,
        payload: Call,
        headers: dict[str, str] | None = None,
    ) -> tuple[Call, Answer]:
        """V1's :explain: the same, as a list of explanations.

        Raises:
            InputError: no explanation is asked for; or as `predict`.
        """
        if payload.request.options.explain == "none":
            raise InputError("Parameter explain is 'none'.", "Ask :predict of the predictor.")
        call, answer = await self.predict(payload, headers)
        return replace(call, encode=partial(_explanations, call)), answer

    def _answer(self, request: ScoreRequest) -> Answer:
        options = request.options
        parameters = _parameters(options)
        judged = self.predictor_client.judge(request.texts, parameters)
        effort = options.effort or Effort(self.limits.evaluations, self.limits.seconds)
        spent = _Spent()
        verdicts = []
        for row, text in enumerate(request.texts):
            logit = float(judged.logit[row])
            parts = Contributions(_NOTHING, _NOTHING, np.zeros(0), logit)
            if options.explain != "none":
                attribution, kept = self._attribution(text, judged.bundle, options, effort)
                spent = spent.with_one(attribution, kept=kept)
                parts = strongest(attribution, logit, options.top_k)
            verdicts.append(_verdict(judged, row, parts))
        return Answer(
            request,
            verdicts,
            judged.bundle,
            judged.threshold,
            judged.labels,
            judged.models,
            options.explain,
            spent.parameters(effort),
        )

    def _attribution(
        self, text: str, bundle: str, options: Options, effort: Effort
    ) -> tuple[Attribution, bool]:
        """The explanation of a text, and whether it was kept from before."""
        parameters = _parameters(options)
        asked = (text, bundle, options.explain, repr(effort), repr(sorted(parameters.items())))
        key = hashlib.sha256("\0".join(asked).encode()).hexdigest()
        found = self.kept.get(key)
        if found is not None:
            return found, True

        def score(texts: Any) -> Floats:
            return self.predictor_client.logits(texts, parameters)

        made = METHODS[options.explain](score, text, effort, self.batch)
        # What the clock cut short would be better tried again.
        if made.complete or made.seconds < effort.seconds:
            self.kept.put(key, made)
        return made, False


def _parameters(options: Options) -> dict[str, str]:
    """What the predictor has to know of a request."""
    given: dict[str, str] = {}
    if options.threshold is not None:
        given["threshold"] = repr(options.threshold)
    if options.models is not None:
        given["models"] = ",".join(options.models)
    return given


def _verdict(judged: Judged, row: int, parts: Contributions) -> Verdict:
    each = zip(judged.models, judged.each[row].tolist(), strict=True)
    return Verdict(
        judged.label[row],
        float(judged.probability[row]),
        float(judged.logit[row]),
        judged.stage[row],
        parts,
        {name: value for name, value in each if value >= 0},
    )


def _explanations(call: Call, answer: Answer) -> dict[str, Any]:
    document = dict(call.encode(answer))
    return {"explanations": document.pop("predictions"), **document}


class _Kept:
    """The last explanations, by what was asked; safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, Attribution] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Attribution | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: str, attribution: Attribution) -> None:
        with self._lock:
            self._entries[key] = attribution
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
