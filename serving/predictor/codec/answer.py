"""Verdicts as tensors: the outputs of the V2 protocol, their types and their shapes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rampart.inference.verdict import Verdict
from serving.predictor.codec.request import ScoreRequest


@dataclass(frozen=True, slots=True)
class Signature:
    """Name, datatype and shape of an input or output; -1 where the request decides."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def as_document(self) -> dict[str, Any]:
        """As the protocol's metadata has it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


# `id` is optional in a request, and in an answer where the request had it.
INPUTS = (Signature("text", "BYTES", (-1,)), Signature("id", "BYTES", (-1,)))
OUTPUTS = (
    Signature("label", "BYTES", (-1,)),
    Signature("probability", "FP32", (-1,)),
    Signature("logit", "FP32", (-1,)),
    Signature("stage", "BYTES", (-1,)),
    Signature("span", "INT64", (-1, -1, 2)),
    Signature("contribution", "FP32", (-1, -1)),
    Signature("bias", "FP32", (-1,)),
    Signature("model_probability", "FP32", (-1, -1)),
    Signature("id", "BYTES", (-1,)),
)
_DATATYPES = {"f": "FP32", "i": "INT64", "b": "BOOL", "O": "BYTES"}
Values = NDArray[Any] | list[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdicts on a request's texts, and what they were reached with.

    Attributes:
        request: what was asked.
        verdicts: one for each of its texts, in order.
        bundle: id of the bundle that answered.
        threshold: that applied, the request's or the bundle's.
        labels: the harmless label, then the threat.
        models: names of the bundle's models, in its order.
        method: how contributions are come by; `terms` are the plain ones of the sum.
        spent: what explanations on request cost, for the response's parameters.
        extra: outputs that a server adds to the predictor's, by name.
    """

    request: ScoreRequest
    verdicts: Sequence[Verdict]
    bundle: str
    threshold: float
    labels: tuple[str, str]
    models: tuple[str, ...] = ()
    method: str = "terms"
    spent: Mapping[str, str | float] = field(default_factory=dict)
    extra: Mapping[str, Values] = field(default_factory=dict)

    def parameters(self) -> dict[str, str | float]:
        """Response parameters, in types that JSON has."""
        return {
            "bundle": self.bundle,
            "method": "none" if self.request.options.explain == "none" else self.method,
            "threshold": self.threshold,
            "labels": ",".join(self.labels),
            "models": ",".join(self.models),
            **self.spent,
        }


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """One output; `values` is an array of numbers, or strings in a list or an array of objects."""

    name: str
    values: Values

    @property
    def datatype(self) -> str:
        """V2's name of the type."""
        return "BYTES" if isinstance(self.values, list) else _DATATYPES[self.values.dtype.kind]

    @property
    def shape(self) -> list[int]:
        """Lengths of its dimensions."""
        return [len(self.values)] if isinstance(self.values, list) else list(self.values.shape)

    def flat(self) -> Values:
        """The elements in row-major order; strings in a list."""
        if isinstance(self.values, list):
            return self.values
        flat = self.values.reshape(-1)
        return flat.tolist() if flat.dtype.kind == "O" else flat

    def raw(self) -> bytes:
        """The elements in V2's binary form: little-endian, strings behind their length."""
        flat = self.flat()
        if isinstance(flat, list):
            encoded = [value.encode() for value in flat]
            return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
        return flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()


def output_tensors(answer: Answer) -> dict[str, OutputTensor]:
    """Every output that the answer has, by name.

    `span` [n, k, 2] and `contribution` [n, k] have k = top_k of the request, whatever its texts
    gave, and k = 0 where no explanation was asked for; rows are filled with -1 -1 and 0. In FP32,
    `bias` + `contribution` is `logit` to rounding: the bias takes up what rounding the
    contributions loses. `model_probability` [n, m] has the bundle's models in the order of the
    response parameter `models`, and -1 for those that were not asked.
    """
    verdicts = answer.verdicts
    span, contribution = _explanations(verdicts, answer.request.options.spans)
    logit = np.array([verdict.logit for verdict in verdicts], dtype=np.float32)
    bias = logit.astype(np.float64) - contribution.sum(axis=1, dtype=np.float64)
    values: dict[str, Values] = {
        "label": [verdict.label for verdict in verdicts],
        "probability": np.array([verdict.probability for verdict in verdicts], dtype=np.float32),
        "logit": logit,
        "stage": [verdict.stage for verdict in verdicts],
        "span": span,
        "contribution": contribution,
        "bias": bias.astype(np.float32),
        "model_probability": np.array(
            [[verdict.models.get(name, -1.0) for name in answer.models] for verdict in verdicts],
            dtype=np.float32,
        ).reshape(len(verdicts), len(answer.models)),
        **answer.extra,
    }
    if answer.request.ids is not None:
        values["id"] = [name or "" for name in answer.request.ids]
    return {name: OutputTensor(name, value) for name, value in values.items()}


def _explanations(
    verdicts: Sequence[Verdict], spans: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    span = np.full((len(verdicts), spans, 2), -1, dtype=np.int64)
    contribution = np.zeros((len(verdicts), spans), dtype=np.float32)
    for row, verdict in enumerate(verdicts):
        parts = verdict.explanation
        count = len(parts.value)
        span[row, :count, 0] = parts.start
        span[row, :count, 1] = parts.end
        contribution[row, :count] = parts.value
    return span, contribution
