"""A graph's answers, {step: response}, as one table: V2's or V1's, Rampart's or anybody's.

The router of an InferenceGraph puts each step's answer under the step's name and passes it on as
it is; where a step that may fail has failed, that is its error. A model that is not Rampart's gives
a label, a probability, or both; where a logit or an explanation is missing, the one answer has none
either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rampart.errors import InputError
from rampart.explain.contributions import Contributions
from rampart.models.base import Floats, Ints, logit
from serving.predictor.codec.request import shown

# Of a probability that a model gives as 0 or 1.
_CERTAIN = 1e-6
_EXAMPLE = 'Send {"a step": {"outputs": [...]}, ...}, as an Ensemble of an InferenceGraph does.'


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What one step said of n texts.

    Attributes:
        label: of each, if it gave any.
        logit: of each, float64 [n], if it gave logits or probabilities.
        explanation: of each, if it gave spans.
        ids: of the texts, if the request had any.
        about: the response's parameters.
    """

    count: int
    label: list[str] | None = None
    logit: Floats | None = None
    explanation: list[Contributions] | None = None
    ids: list[str] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Steps:
    """The answers by step, in the order of their names, and what the others said instead."""

    answers: Mapping[str, StepAnswer]
    failed: Mapping[str, str]


def read(document: object) -> Steps:
    """The steps' answers.

    Raises:
        InputError: it is no object of objects, an answer cannot be read, or two are of different
            numbers of texts.
    """
    if not isinstance(document, dict) or not document:
        raise InputError(f"The body is {shown(document)}.", _EXAMPLE)
    answers, failed = {}, {}
    for name, response in sorted(document.items()):
        if not isinstance(response, dict):
            raise InputError(f"The answer of step {name!r} is {shown(response)}.", _EXAMPLE)
        if "outputs" in response or "predictions" in response:
            try:
                answers[name] = _v2(response) if "outputs" in response else _v1(response)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"The answer of step {name!r} cannot be read: {shown(error)}.",
                    "It has to be a V2 or V1 response with labels, probabilities or logits.",
                ) from error
        else:
            failed[name] = str(response.get("error", "no outputs and no predictions"))[:200]
    counts = {name: answer.count for name, answer in answers.items()}
    if len(set(counts.values())) > 1:
        raise InputError(
            f"The steps answered different numbers of texts: {counts}.",
            "Send all the same request.",
        )
    return Steps(answers, failed)


def _v2(response: Mapping[str, Any]) -> StepAnswer:
    outputs = {output["name"]: output for output in response["outputs"]}
    data = {name: output["data"] for name, output in outputs.items()}
    known = [outputs[name] for name in ("label", "probability", "logit") if name in outputs]
    count = int(known[0]["shape"][0]) if known else 0
    if not count or any(len(one["data"]) != count for one in known):
        raise ValueError("no label, probability or logit for each text")
    explanation = None
    if {"span", "contribution", "bias"} <= outputs.keys():
        span = np.array(data["span"], dtype=np.int64).reshape(count, -1, 2)
        value = np.array(data["contribution"], dtype=np.float64).reshape(count, -1)
        there = span[:, :, 0] >= 0
        explanation = [
            Contributions(
                span[row, there[row], 0], span[row, there[row], 1], value[row, there[row]], bias
            )
            for row, bias in enumerate(_numbers(data["bias"]).tolist())
        ]
    return StepAnswer(
        count,
        [str(label) for label in data["label"]] if "label" in data else None,
        _logits(data.get("logit"), data.get("probability")),
        explanation,
        [str(name) for name in data["id"]] if "id" in data else None,
        response.get("parameters") or {},
    )


def _v1(response: Mapping[str, Any]) -> StepAnswer:
    rows = response["predictions"]
    if not rows:
        raise ValueError("no prediction")
    if not isinstance(rows[0], dict):
        # TensorFlow Serving's way: a probability each.
        return StepAnswer(len(rows), logit=_logits(None, rows))

    def column(name: str) -> list[Any] | None:
        return [row[name] for row in rows] if name in rows[0] else None

    label = column("label")
    spans, bias = column("contributions"), column("bias")
    explanation = None
    if spans is not None and bias is not None:
        explanation = [
            Contributions(
                np.array([span["start"] for span in row], dtype=np.int64),
                np.array([span["end"] for span in row], dtype=np.int64),
                np.array([span["value"] for span in row], dtype=np.float64),
                float(base),
            )
            for row, base in zip(spans, bias, strict=True)
        ]
    return StepAnswer(
        len(rows),
        None if label is None else [str(one) for one in label],
        _logits(column("logit"), column("probability")),
        explanation,
        column("id"),
        response.get("parameters") or {},
    )


def _logits(given: list[Any] | None, probability: list[Any] | None) -> Floats | None:
    if given is not None:
        return _numbers(given)
    if probability is None:
        return None
    chances = _numbers(probability)
    if not np.all((chances >= 0) & (chances <= 1)):
        raise ValueError("a probability is not between 0 and 1")
    return logit(np.clip(chances, _CERTAIN, 1 - _CERTAIN))


def _numbers(values: list[Any]) -> Floats:
    found = np.array(values, dtype=np.float64)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        raise ValueError("no plain list of numbers")
    return found


def summed(parts: list[tuple[float, Contributions]], intercept: float, top_k: int) -> Contributions:
    """Weighted explanations of one text as one, its strongest spans first."""
    value: dict[tuple[int, int], float] = {}
    bias = intercept
    for weight, part in parts:
        bias += weight * part.bias
        for start, end, worth in zip(part.start, part.end, part.value, strict=True):
            span = int(start), int(end)
            value[span] = value.get(span, 0.0) + weight * float(worth)
    strongest = sorted(value, key=lambda span: -abs(value[span]))
    bias += sum(value[span] for span in strongest[top_k:])
    kept = strongest[:top_k]
    spans: Ints = np.array(kept, dtype=np.int64).reshape(-1, 2)
    return Contributions(spans[:, 0], spans[:, 1], np.array([value[span] for span in kept]), bias)
