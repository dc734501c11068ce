"""KServe's V2 protocol over gRPC: tensors as contents or raw, and so the answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rampart.errors import InputError
from serving.predictor.codec.answer import Answer, OutputTensor, output_tensors
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits, shown
from serving.predictor.codec.tensor import InputTensor, score_request, wanted_outputs
from serving.predictor.sdk import pb

_CONTENTS = {
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "INT64": "int64_contents",
    "BOOL": "bool_contents",
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    id: str
    model_name: str
    outputs: tuple[str, ...]
    raw: bool


def decode(message: Any, limits: Limits) -> Call:
    """Read a ModelInferRequest.

    Raises:
        InputError: it is not what the protocol and the model's metadata say.
        TooLargeError: there are too many texts, or one is too long.
    """
    raw = bool(message.raw_input_contents)
    if raw and len(message.raw_input_contents) != len(message.inputs):
        raise InputError(
            f"There are {len(message.inputs)} inputs and {len(message.raw_input_contents)} "
            "raw_input_contents.",
            "Send raw contents for each input, or for none.",
        )
    tensors = [
        _input(tensor, message.raw_input_contents[index] if raw else None)
        for index, tensor in enumerate(message.inputs)
    ]
    request = score_request(tensors, _parameters(message.parameters), limits)
    names = [output.name for output in message.outputs]
    outputs = wanted_outputs(names, limits, with_ids=request.ids is not None)
    wanted = _Wanted(message.id or str(uuid.uuid4()), message.model_name, outputs, raw)
    return Call(request, partial(encode, wanted))


def encode(wanted: _Wanted, answer: Answer) -> Any:
    """The answer as a ModelInferResponse: raw if the request was."""
    tensors = output_tensors(answer)
    chosen = [tensors[name] for name in wanted.outputs]
    return pb.ModelInferResponse(
        id=wanted.id,
        model_name=wanted.model_name,
        parameters={
            # InferParameter has no field for a fraction.
            name: pb.InferParameter(string_param=str(value))
            for name, value in answer.parameters().items()
        },
        outputs=[_output(tensor, raw=wanted.raw) for tensor in chosen],
        raw_output_contents=[tensor.raw() for tensor in chosen] if wanted.raw else [],
    )


def _input(tensor: Any, raw: bytes | None) -> InputTensor:
    if raw is not None and tensor.HasField("contents"):
        raise InputError(
            f"Input {shown(tensor.name)} has both contents and raw contents.", "Send one of them."
        )
    contents = tensor.contents
    filled = [field.name for field, _ in contents.ListFields()]
    if filled and filled != ["bytes_contents"]:
        raise InputError(
            f"Input {shown(tensor.name)} has {', '.join(filled)}.", "Send bytes_contents."
        )
    data = list(contents.bytes_contents) if raw is None else raw
    return InputTensor(tensor.name, tensor.datatype, tuple(tensor.shape), data)


def _output(tensor: OutputTensor, *, raw: bool) -> Any:
    output = pb.ModelInferResponse.InferOutputTensor(
        name=tensor.name, datatype=tensor.datatype, shape=tensor.shape
    )
    if not raw:
        flat = tensor.flat()
        values = [value.encode() for value in flat] if isinstance(flat, list) else flat.tolist()
        getattr(output.contents, _CONTENTS[tensor.datatype]).extend(values)
    return output


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            # Other servers' protocol has double_param and uint64_param; here they read as nothing.
            raise InputError(
                f"Parameter {shown(name)} is of a type that KServe's gRPC protocol does not have.",
                "Send a boolean, an integer or a string; a fraction as a string, such as '0.7'.",
            )
        read[name] = getattr(parameter, kind)
    return read
