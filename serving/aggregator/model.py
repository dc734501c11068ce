"""The aggregator as a KServe model: {step: response} in, one response out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import orjson

from rampart.ensembles.base import Stage
from rampart.ensembles.voting import hard_vote
from rampart.errors import InputError, OverloadedError
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from rampart.models.base import Floats, logit, sigmoid
from serving.aggregator.settings import STACKING, VOTING, AggregatorSettings
from serving.aggregator.steps import StepAnswer, Steps, read, summed
from serving.predictor.codec import v1, v2_rest
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits, Options, ScoreRequest
from serving.predictor.model import ProtocolModel
from serving.predictor.sdk import pb
from serving.predictor.worker import Worker

_OUTPUTS = ("label", "probability", "logit", "stage", "span", "contribution", "bias",
            "model_probability")  # fmt: skip
# Of a vote that all or none cast, so that it has a logit.
_UNANIMOUS = 1e-6


class AggregatorModel(ProtocolModel):
    """Makes one answer of several, by the settings; what it is asked is what models answered."""

    def __init__(
        self, name: str, worker: Worker, limits: Limits, settings: AggregatorSettings
    ) -> None:
        super().__init__(name, worker, limits)
        self.thread = worker
        self.settings = settings

    def members(self) -> dict[str, Any]:
        """How it makes one answer of several."""
        settings = self.settings
        return {
            "method": settings.method,
            "weights": settings.weights,
            "intercept": settings.intercept,
            "missing": settings.missing,
        }

    async def preprocess(
        self,
        payload: Any,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> tuple[Steps, bool]:
        """Read the steps' answers; whether V2 is to be answered comes with them.

        Raises:
            InputError: they cannot be read, or came over gRPC.
        """
        if isinstance(payload, pb.ModelInferRequest):
            raise InputError(
                "Answers of several models are no V2 tensors.", "Send them over REST, as graphs do."
            )
        body = payload.content if isinstance(payload, v2_rest.V2Body) else payload
        if isinstance(body, bytes | str):
            try:
                body = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise InputError(f"The body is not JSON: {error}.") from None
        return read(body), isinstance(payload, v2_rest.V2Body)

    async def predict(
        self,
        payload: tuple[Steps, bool],
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> tuple[Call, Answer]:
        """The one answer, computed on the worker's thread.

        Raises:
            OverloadedError: a step has failed that may not; or the queue is full.
            InputError: the steps are not those that have weights, or lack what the method needs.
        """
        steps, second = payload
        answer: Answer = await self.thread.run(partial(aggregate, steps, self.settings))
        encode: Any = v1.encode
        if second:
            outputs = tuple(
                (name, False) for name in (*_OUTPUTS, *(("id",) if answer.request.ids else ()))
            )
            encode = partial(v2_rest.encode, v2_rest.Wanted(str(uuid.uuid4()), self.name, outputs))
        return Call(answer.request, encode), answer


def aggregate(steps: Steps, settings: AggregatorSettings) -> Answer:
    """One answer of several.

    Raises:
        OverloadedError: a step has failed that may not.
        InputError: the steps are not those that have weights, or lack what the method needs.
    """
    answers = _present(steps, settings)
    labels = _labels(answers, settings)
    first = next(iter(answers.values()))
    if settings.method == VOTING:
        logits, stage = _votes(answers, labels), None
    else:
        stage = _stage(answers, settings)
        logits = stage.combine({name: _logit(name, answers[name]) for name in stage.weights})
    probability = sigmoid(logits)
    explanations = _explanations(answers, stage, logits, settings.top_k)
    each = {name: sigmoid(one.logit) for name, one in answers.items() if one.logit is not None}
    verdicts = [
        Verdict(
            labels[int(probability[row] >= settings.threshold)],
            float(probability[row]),
            float(logits[row]),
            settings.method,
            explanations[row],
            {name: float(chances[row]) for name, chances in each.items()},
        )
        for row in range(first.count)
    ]
    ids = next((one.ids for one in answers.values() if one.ids is not None), None)
    spans = max(len(one.value) for one in explanations)
    explained = {str(one.about.get("method", "terms")) for one in answers.values()}
    request = ScoreRequest(
        ("",) * first.count,
        Options(spans, "contributions" if spans else "none"),
        None if ids is None else tuple(ids),
    )
    return Answer(
        request,
        verdicts,
        ",".join(str(one.about.get("bundle", "")) for one in answers.values()),
        settings.threshold,
        labels,
        tuple(answers),
        "learned" if "learned" in explained else "terms",
        {"missing": ",".join(steps.failed)} if steps.failed else {},
    )


def _present(steps: Steps, settings: AggregatorSettings) -> Mapping[str, StepAnswer]:
    """The answers that count, having refused what may not be done without."""
    answers, failed = steps.answers, dict(steps.failed)
    if settings.weights:
        unknown = sorted((answers.keys() | failed.keys()) - settings.weights.keys())
        if unknown:
            raise InputError(
                f"Step {unknown[0]!r} has no weight.",
                f"The steps with weights are {', '.join(settings.weights)}.",
            )
        absent = settings.weights.keys() - answers.keys() - failed.keys()
        failed |= dict.fromkeys(sorted(absent), "it is not among the answers")
    if failed and (settings.missing == "refuse" or not answers):
        name, reason = next(iter(failed.items()))
        raise OverloadedError(f"Step {name!r} has failed: {reason}.", "Try again in a second.")
    return answers


def _labels(answers: Mapping[str, StepAnswer], settings: AggregatorSettings) -> tuple[str, str]:
    said = {str(one.about["labels"]) for one in answers.values() if "labels" in one.about}
    if len(said) > 1:
        raise InputError(
            f"The steps have different labels: {sorted(said)}.", "Use models of one task."
        )
    harmless, _, threat = (said.pop() if said else settings.labels).partition(",")
    return harmless, threat


def _stage(answers: Mapping[str, StepAnswer], settings: AggregatorSettings) -> Stage:
    """The steps that answered, as one linear combination."""
    weights = {name: settings.weights.get(name, 1.0) for name in answers}
    if settings.method == STACKING:
        return Stage(name=settings.method, weights=weights, intercept=settings.intercept)
    total = sum(weights.values())
    if not total:
        raise OverloadedError("All steps that have a weight have failed.", "Try again in a second.")
    return Stage(
        name=settings.method, weights={name: weight / total for name, weight in weights.items()}
    )


def _logit(name: str, answer: StepAnswer) -> Floats:
    if answer.logit is None:
        raise InputError(
            f"Step {name!r} gives neither logits nor probabilities.",
            "Let its response have them, or count labels by voting.",
        )
    return answer.logit


def _votes(answers: Mapping[str, StepAnswer], labels: tuple[str, str]) -> Floats:
    """Logit of the share of the steps that call each text a threat."""
    votes = {}
    for name, answer in answers.items():
        if answer.label is not None:
            votes[name] = np.array([label == labels[1] for label in answer.label], dtype=np.float64)
        else:
            votes[name] = (_logit(name, answer) >= 0).astype(np.float64)
    share = hard_vote(votes, dict.fromkeys(votes, 0.5))
    return logit(np.clip(share, _UNANIMOUS, 1 - _UNANIMOUS))


def _explanations(
    answers: Mapping[str, StepAnswer], stage: Stage | None, logits: Floats, top_k: int
) -> list[Contributions]:
    """The weighted sum of the steps' explanations; votes that are counted have none."""
    nothing = np.zeros(0, dtype=np.int64)
    explained = [answers[name].explanation for name in stage.weights] if stage else [None]
    if stage is None or any(one is None for one in explained):
        return [Contributions(nothing, nothing, np.zeros(0), float(value)) for value in logits]
    weights = list(stage.weights.values())
    return [
        summed(
            [
                (weight, one[row])
                for weight, one in zip(weights, explained, strict=True)
                if one is not None
            ],
            stage.intercept,
            top_k,
        )
        for row in range(len(logits))
    ]
