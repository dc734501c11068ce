"""The predictor as other servers see it over gRPC: what to send, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np

from rampart.errors import (
    InputError,
    OverloadedError,
    RampartError,
    TooLargeError,
    UnknownModelError,
)
from rampart.explain.contributions import Contributions
from rampart.inference.verdict import Verdict
from serving.predictor.sdk import pb

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_ERRORS: dict[grpc.StatusCode, type[RampartError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InputError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooLargeError,
    grpc.StatusCode.UNAVAILABLE: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: OverloadedError,
    grpc.StatusCode.NOT_FOUND: UnknownModelError,
}


def request(
    model: str, texts: Sequence[str], parameters: Mapping[str, str], outputs: Sequence[str] = ()
) -> Any:
    """A ModelInferRequest for texts; all outputs where none is named."""
    given = pb.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[len(texts)])
    given.contents.bytes_contents.extend(text.encode() for text in texts)
    return pb.ModelInferRequest(
        model_name=model,
        inputs=[given],
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs],
        parameters={
            name: pb.InferParameter(string_param=value) for name, value in parameters.items()
        },
    )


def columns(answer: Any) -> dict[str, list[Any]]:
    """The elements of each output of a ModelInferResponse without raw contents, by name."""
    return {output.name: _values(output) for output in answer.outputs}


def about(answer: Any) -> dict[str, str]:
    """The parameters of a ModelInferResponse."""
    return {name: value.string_param for name, value in answer.parameters.items()}


def verdicts(columns: Mapping[str, list[Any]], models: Sequence[str], count: int) -> list[Verdict]:
    """The verdicts on `count` texts, of outputs with their spans; `models` are the bundle's."""
    spans = np.array(columns["span"], dtype=np.int64).reshape(count, -1, 2)
    values = np.array(columns["contribution"], dtype=np.float64).reshape(count, -1)
    each = np.array(columns["model_probability"], dtype=np.float64).reshape(count, len(models))
    found = []
    for row in range(count):
        there = spans[row, :, 0] >= 0
        parts = Contributions(
            spans[row, there, 0], spans[row, there, 1], values[row, there], columns["bias"][row]
        )
        known = {
            name: value
            for name, value in zip(models, each[row].tolist(), strict=True)
            if value >= 0
        }
        found.append(
            Verdict(
                columns["label"][row],
                columns["probability"][row],
                columns["logit"][row],
                columns["stage"][row],
                parts,
                known,
            )
        )
    return found


def refusal(address: str, error: grpc.RpcError) -> RampartError | None:
    """What the predictor's error means for our own client; None where nobody foresaw it."""
    kind = _ERRORS.get(error.code())
    if kind is OverloadedError:
        return OverloadedError(
            f"The predictor at {address} does not answer: {error.details()}.",
            "Try again in a second.",
        )
    return None if kind is None else kind(f"The predictor refused: {error.details()}")


def _values(output: Any) -> list[Any]:
    """The elements of an output, strings decoded."""
    [(field, values)] = output.contents.ListFields() or [(None, [])]
    del field
    return [value.decode() if isinstance(value, bytes) else value for value in values]
