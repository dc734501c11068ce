"""KServe's V2 protocol over REST: JSON, and JSON followed by binary tensors.

Source: the Open Inference Protocol and its binary tensor data extension.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from rampart.errors import InputError
from serving.predictor.codec.answer import Answer, output_tensors
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits, shown
from serving.predictor.codec.tensor import InputTensor, score_request, wanted_outputs

HEADER_LENGTH = "Inference-Header-Content-Length"
_EXAMPLE = (
    'Send {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a text"]}]}.'
)


@dataclass(frozen=True, slots=True)
class V2Body:
    """A body as it came, and the header that says how much of it is JSON, if it was sent."""

    content: bytes
    header_length: str | None = None


@dataclass(frozen=True, slots=True)
class V2Reply:
    """A body to send; `header_length` is how much of it is JSON where binary tensors follow."""

    content: bytes
    header_length: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The response's id, model and outputs, each with whether it goes in binary."""

    id: str
    model_name: str
    outputs: tuple[tuple[str, bool], ...]


def decode(body: V2Body, model_name: str, limits: Limits) -> Call:
    """Read a request.

    Raises:
        InputError: it is not what the protocol and the model's metadata say.
        TooLargeError: there are too many texts, or one is too long.
    """
    length = _json_length(body)
    document = _document(body.content[:length])
    reader = _BinaryReader(body.content, length, allowed=body.header_length is not None)
    tensors = [_input(entry, reader) for entry in _entries(document, "inputs")]
    reader.close()
    parameters = _parameters(document, "The request")
    request = score_request(tensors, parameters, limits)
    outputs = _outputs(document, parameters, limits, with_ids=request.ids is not None)
    wanted = Wanted(_response_id(document), model_name, outputs)
    return Call(request, partial(encode, wanted))


def encode(wanted: Wanted, answer: Answer) -> V2Reply:
    """The answer with the outputs that were asked for."""
    tensors = output_tensors(answer)
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for name, binary in wanted.outputs:
        tensor = tensors[name]
        entry: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": tensor.shape}
        if binary:
            raw.append(tensor.raw())
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = tensor.flat()
        described.append(entry)
    document = {
        "model_name": wanted.model_name,
        "id": wanted.id,
        "parameters": answer.parameters(),
        "outputs": described,
    }
    header = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return V2Reply(b"".join([header, *raw]), len(header) if raw else None)


def _json_length(body: V2Body) -> int:
    if body.header_length is None:
        return len(body.content)
    text = body.header_length
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
    if not 0 <= length <= len(body.content):
        raise InputError(
            f"{HEADER_LENGTH} is {shown(text)}.",
            f"Send how many of the body's {len(body.content)} bytes are JSON, or leave it away.",
        )
    return length


def _document(content: bytes) -> dict[str, Any]:
    if not content:
        raise InputError("The body is empty.", _EXAMPLE)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(f"The body is not JSON: {error}.", _EXAMPLE) from None
    if not isinstance(document, dict):
        raise InputError(f"The body is {shown(document)}.", _EXAMPLE)
    return document


def _entries(document: dict[str, Any], field: str) -> list[dict[str, Any]]:
    entries = document.get(field)
    if entries is None and field == "outputs":
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"Field {field!r} is {shown(entries)}.", f"Send a list. {_EXAMPLE}")
    for entry in entries:
        if not isinstance(entry.get("name"), str):
            raise InputError(
                f"An entry of {field!r} has the name {shown(entry.get('name'))}.", "Send a string."
            )
    return entries


def _parameters(document: dict[str, Any], owner: str) -> dict[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InputError(
            f"{owner} has the parameters {shown(parameters)}.",
            'Send an object, such as {"top_k": 5}.',
        )
    return parameters


def _response_id(document: dict[str, Any]) -> str:
    # The protocol lets a client leave it out, and its clients expect a string back all the same.
    name = document.get("id")
    if name is None:
        return str(uuid.uuid4())
    if not isinstance(name, str):
        raise InputError(f"Field 'id' is {shown(name)}.", "Send a string, or leave it out.")
    return name


def _input(entry: dict[str, Any], reader: _BinaryReader) -> InputTensor:
    name, datatype = entry["name"], entry.get("datatype")
    if not isinstance(datatype, str):
        raise InputError(f"Input {shown(name)} has datatype {shown(datatype)}.", "Send BYTES.")
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(type(length) is int for length in shape):
        raise InputError(
            f"Input {shown(name)} has shape {shown(shape)}.", "Send shape [n] for n texts."
        )
    size = _parameters(entry, f"Input {shown(name)}").get("binary_data_size")
    data: list[Any] | bytes | None = entry.get("data")
    if size is not None:
        if data is not None:
            raise InputError(
                f"Input {shown(name)} has both data and binary_data_size.", "Send one of them."
            )
        data = reader.take(name, size)
    if not isinstance(data, list | bytes):
        raise InputError(f"Input {shown(name)} has the data {shown(data)}.", "Send a list.")
    return InputTensor(name, datatype, tuple(shape), data)


def _outputs(
    document: dict[str, Any], parameters: dict[str, Any], limits: Limits, *, with_ids: bool
) -> tuple[tuple[str, bool], ...]:
    entries = _entries(document, "outputs")
    names = wanted_outputs([entry["name"] for entry in entries], limits, with_ids=with_ids)
    default = _flag(parameters, "binary_data_output", otherwise=False)
    asked = {
        entry["name"]: _flag(
            _parameters(entry, f"Output {entry['name']!r}"), "binary_data", otherwise=default
        )
        for entry in entries
    }
    return tuple((name, asked.get(name, default)) for name in names)


def _flag(parameters: dict[str, Any], name: str, *, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise InputError(f"Parameter {name} is {shown(value)}.", "Send true or false.")
    return value


class _BinaryReader:
    """Hands out the bytes behind the JSON, each once and all of them."""

    def __init__(self, content: bytes, start: int, *, allowed: bool) -> None:
        self.content = content
        self.position = start
        self.allowed = allowed

    def take(self, name: str, size: object) -> bytes:
        left = len(self.content) - self.position
        if not self.allowed:
            raise InputError(
                f"Input {shown(name)} has binary_data_size, but the header {HEADER_LENGTH} "
                "is missing.",
                "Send the length of the JSON in it.",
            )
        if type(size) is not int or not 0 <= size <= left:
            raise InputError(
                f"Input {shown(name)} has binary_data_size {shown(size)}, and {left} bytes "
                "are left.",
                "Send how many bytes of the body are this tensor.",
            )
        self.position += size
        return self.content[self.position - size : self.position]

    def close(self) -> None:
        left = len(self.content) - self.position
        if left:
            raise InputError(
                f"{left} bytes of the body belong to no input.",
                f"Give each binary input its binary_data_size, and the JSON's length in "
                f"{HEADER_LENGTH}.",
            )
