"""Rampart in Triton: a model of its Python backend that has the encoder run by another backend.

`rampart bundle export --format triton` writes the model repository. The encoder is a model of its
own there, for Triton's ONNX Runtime; this one cleans, cuts, asks the quick models and, only for
texts that they leave open, the encoder. Triton's own ensembles run each of their steps for every
request, so a cascade cannot be one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from rampart.errors import InputError, RampartError
from rampart.inference.engine import Engine
from rampart.models.encoder import EncoderModel
from serving.export import BUNDLE
from serving.predictor.codec.answer import Answer, OutputTensor, output_tensors
from serving.predictor.codec.request import Limits, ScoreRequest
from serving.predictor.codec.tensor import InputTensor, score_request, wanted_outputs
from serving.predictor.scoring import scored_together

_INPUTS = ("text", "id")


class Elsewhere:
    """Another model of the server, behind the calls that the encoder makes to ONNX Runtime."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, outputs: Sequence[str], fed: dict[str, Any], _: object = None) -> list[Any]:
        """The outputs of those names, arrays of numbers."""
        request = triton.InferenceRequest(
            model_name=self._name,
            requested_output_names=list(outputs),
            inputs=[triton.Tensor(name, values) for name, values in fed.items()],
        )
        reply = request.exec()
        if reply.has_error():
            raise RuntimeError(f"Model {self._name} failed: {reply.error().message()}")
        return [triton.get_output_tensor_by_name(reply, name).as_numpy() for name in outputs]


class TritonPythonModel:
    """The class that the Python backend looks for."""

    def initialize(self, arguments: dict[str, str]) -> None:
        """Check the bundle, read its models, and hand the encoders to their own models."""
        place = Path(arguments["model_repository"]) / arguments["model_version"] / BUNDLE
        self.engine = Engine.load(place)
        parameters = json.loads(arguments["model_config"])["parameters"]
        for name, model in self.engine.models.items():
            if isinstance(model, EncoderModel):
                model.session = Elsewhere(parameters[name]["string_value"])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """A response to each request; a wrong one hears what is wrong with it."""
        answers = scored_together(self.engine, [_read(request) for request in requests])
        return [_response(*both) for both in zip(requests, answers, strict=True)]


def _read(request: Any) -> ScoreRequest | RampartError:
    tensors = []
    for name in _INPUTS:
        given = triton.get_input_tensor_by_name(request, name)
        if given is not None:
            values = given.as_numpy()
            tensors.append(InputTensor(name, "BYTES", values.shape, values.reshape(-1).tolist()))
    try:
        return score_request(tensors, json.loads(request.parameters() or "{}"), Limits())
    except InputError as error:
        return error


def _response(request: Any, answer: Answer | RampartError) -> Any:
    if isinstance(answer, RampartError):
        kind = triton.TritonError.INVALID_ARG
        return triton.InferenceResponse(error=triton.TritonError(str(answer), kind))
    tensors = output_tensors(answer)
    with_ids = answer.request.ids is not None
    asked = [name for name in request.requested_output_names() if with_ids or name != "id"]
    names = wanted_outputs(asked, Limits(), with_ids=with_ids)
    return triton.InferenceResponse([_tensor(tensors[name]) for name in names])


def _tensor(tensor: OutputTensor) -> Any:
    values = tensor.flat()
    if isinstance(values, list):
        values = np.array([value.encode() for value in values], dtype=np.object_)
    return triton.Tensor(tensor.name, np.ascontiguousarray(values.reshape(tensor.shape)))
