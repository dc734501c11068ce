"""Input tensors of the V2 protocol, checked and turned into texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rampart.errors import InputError
from serving.predictor.codec.answer import OUTPUTS
from serving.predictor.codec.request import (
    Limits,
    ScoreRequest,
    check_count,
    check_sizes,
    options,
    shown,
)

_OUTPUT_NAMES = tuple(signature.name for signature in OUTPUTS)
_LENGTH = 4


@dataclass(frozen=True, slots=True)
class InputTensor:
    """An input as it came; `data` is a list (JSON, gRPC contents) or raw bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[Any] | bytes


def score_request(
    tensors: Sequence[InputTensor], parameters: Mapping[str, Any], limits: Limits
) -> ScoreRequest:
    """The request that input tensors and parameters make.

    Raises:
        InputError: an input is missing, unknown, sent twice or not what it says it is.
        TooLargeError: there are too many texts, or one is too long.
    """
    named: dict[str, InputTensor] = {}
    for tensor in tensors:
        if tensor.name not in (limits.input, "id"):
            raise InputError(
                f"Input {shown(tensor.name)} is not known here.",
                f"Send {limits.input!r} and, if you like, 'id', both BYTES.",
            )
        if tensor.name in named:
            raise InputError(f"Input {tensor.name!r} comes twice.", "Send it once.")
        named[tensor.name] = tensor
    if limits.input not in named:
        raise InputError(f"Input {limits.input!r} is missing.", "Send it as BYTES of shape [n].")
    chosen = options(parameters, limits)
    count = _count(named[limits.input])
    check_count(count, limits)
    texts = _strings(named[limits.input], count, raw=limits.raw)
    check_sizes(texts, limits)
    return ScoreRequest(tuple(texts), chosen, _ids(named.get("id"), count))


def wanted_outputs(names: Sequence[str], limits: Limits, *, with_ids: bool) -> tuple[str, ...]:
    """The outputs to send, in the order asked for; when none is named all but those `by_name`.

    Raises:
        InputError: one is unknown or named twice, or is `id` where the request had none.
    """
    known = _OUTPUT_NAMES + limits.extra
    if not names:
        left_out = limits.by_name if with_ids else limits.by_name | {"id"}
        return tuple(name for name in known if name not in left_out)
    for name in names:
        if name not in known:
            raise InputError(
                f"Output {shown(name)} is not known here.", f"The outputs are {', '.join(known)}."
            )
    if len(set(names)) != len(names):
        raise InputError("An output is asked for twice.", "Name each output once.")
    if "id" in names and not with_ids:
        raise InputError("Output 'id' is asked for, but no input 'id' was sent.", "Send it too.")
    return tuple(names)


def _count(tensor: InputTensor) -> int:
    """How many elements the tensor says it has, having checked what can be without its data."""
    if tensor.datatype != "BYTES":
        raise InputError(
            f"Input {tensor.name!r} has datatype {shown(tensor.datatype)}.", "Send BYTES."
        )
    shape = tensor.shape
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or shape[0] < 0:
        raise InputError(
            f"Input {tensor.name!r} has shape {shown(list(shape))}.",
            "Send shape [n] or [n, 1] for n texts.",
        )
    return shape[0]


def _ids(tensor: InputTensor | None, count: int) -> tuple[str, ...] | None:
    if tensor is None:
        return None
    if (ids := _count(tensor)) != count:
        raise InputError(
            f"Input 'id' has {ids} elements, and there are {count} texts.",
            "Send an id for each text.",
        )
    return tuple(_strings(tensor, count))


def _strings(tensor: InputTensor, count: int, *, raw: bool = False) -> list[str]:
    data = tensor.data
    elements: Iterable[Any]
    if isinstance(data, bytes):
        elements = _length_prefixed(tensor.name, data, count)
    else:
        elements = _flat(tensor.name, data)
        if len(elements) != count:
            raise InputError(
                f"Input {tensor.name!r} has shape {list(tensor.shape)} and {len(elements)} "
                "elements of data.",
                "Make the shape say how many elements there are.",
            )
    if raw:
        elements = (
            element.decode("utf-8", "surrogateescape") if isinstance(element, bytes) else element
            for element in elements
        )
    return [_string(tensor.name, index, element) for index, element in enumerate(elements)]


def _flat(name: str, data: Sequence[Any]) -> Sequence[Any]:
    """JSON data either flat or as a column: ["a", "b"] or [["a"], ["b"]]."""
    if not any(isinstance(row, list) for row in data):
        return data
    if not all(isinstance(row, list) and len(row) == 1 for row in data):
        raise InputError(
            f"Input {name!r} has data nested in another way than its shape.",
            'Send one flat list, such as ["first text", "second text"].',
        )
    return [row[0] for row in data]


def _length_prefixed(name: str, data: bytes, count: int) -> list[bytes]:
    elements: list[bytes] = []
    position = 0
    while position < len(data) and len(elements) < count:
        start = position + _LENGTH
        end = start + int.from_bytes(data[position:start], "little")
        if start > len(data) or end > len(data):
            raise InputError(
                f"Element {len(elements)} of input {name!r} ends behind the tensor's "
                f"{len(data)} bytes.",
                "Send each element behind its length in four little-endian bytes.",
            )
        elements.append(data[start:end])
        position = end
    if len(elements) != count or position != len(data):
        found = "more" if position != len(data) else str(len(elements))
        raise InputError(
            f"Input {name!r} has shape {count} and {found} elements of data.",
            "Make the shape say how many elements there are.",
        )
    return elements


def _string(name: str, index: int, element: Any) -> str:
    if isinstance(element, str):
        return element
    if isinstance(element, bytes):
        try:
            return element.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"Element {index} of input {name!r} is not UTF-8: {error.reason} at byte "
                f"{error.start}.",
                "Decode it with its own character set and send it as UTF-8.",
            ) from None
    raise InputError(
        f"Element {index} of input {name!r} is {shown(element)}.", "Send strings only."
    )
