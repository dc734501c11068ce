"""The predictor as other servers see it over gRPC: what to send, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]

from rampart.errors import (
    InputError,
    OverloadedError,
    RampartError,
    TooLargeError,
    UnknownModelError,
)
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
