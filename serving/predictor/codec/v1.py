"""KServe's V1 protocol: {"instances": [...]} in, {"predictions": [...]} out."""

from __future__ import annotations

import base64
from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np
import orjson

from rampart.errors import InputError
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import (
    Limits,
    ScoreRequest,
    check_count,
    check_sizes,
    options,
    shown,
)

_SHAPE = 'Send {"instances": ["a text", ...]} or {"instances": [{"text": "a text"}, ...]}.'


def decode(body: object, limits: Limits) -> Call:
    """Read a request from its JSON document, parsed or as bytes.

    Parameters stand beside `instances` or in an object `parameters` there.

    Raises:
        InputError: it is not such a document, or a parameter is wrong.
        TooLargeError: there are too many texts, or one is too long.
    """
    document = _document(body)
    instances = document.pop("instances", None)
    if not isinstance(instances, list):
        raise InputError(f"Field 'instances' is {shown(instances)}.", _SHAPE)
    parameters = document.pop("parameters", None)
    if not isinstance(parameters, dict | None):
        raise InputError(
            f"Field 'parameters' is {shown(parameters)}.", 'Send an object, such as {"top_k": 5}.'
        )
    twice = document.keys() & (parameters or {}).keys()
    if twice:
        raise InputError(f"Parameter {min(twice)!r} comes twice.", "Send it once.")
    # TensorFlow Serving's clients name a signature; there is one here.
    document.pop("signature_name", None)
    chosen = options({**document, **(parameters or {})}, limits)
    check_count(len(instances), limits)
    texts = [_text(index, instance, limits) for index, instance in enumerate(instances)]
    check_sizes(texts, limits)
    return Call(
        ScoreRequest(tuple(texts), chosen, _ids(instances)),
        partial(encode, left_out=limits.by_name),
    )


def encode(answer: Answer, left_out: Collection[str] = ()) -> dict[str, Any]:
    """The answer as V1 has it: a prediction for each instance, with its id if it had one."""
    ids = answer.request.ids or (None,) * len(answer.verdicts)
    predictions = [
        verdict.as_document()
        | _extra(answer, row, left_out)
        | ({} if name is None else {"id": name})
        for row, (verdict, name) in enumerate(zip(answer.verdicts, ids, strict=True))
    ]
    return {"predictions": predictions, "parameters": answer.parameters()}


def _extra(answer: Answer, row: int, left_out: Collection[str]) -> dict[str, Any]:
    """What a server adds to a verdict, as plain JSON has it."""
    added = {name: values[row] for name, values in answer.extra.items() if name not in left_out}
    return {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in added.items()
    }


def _document(body: object) -> dict[str, Any]:
    if isinstance(body, bytes | str):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InputError(f"The body is not JSON: {error}.", _SHAPE) from None
    if not isinstance(body, dict):
        raise InputError(f"The body is {shown(body)}.", _SHAPE)
    return dict(body)


def _text(index: int, instance: object, limits: Limits) -> str:
    text = instance
    if isinstance(instance, dict):
        # What is not text comes as V1 has it for any bytes.
        fields = (limits.input, "id", *(("b64",) if limits.raw else ()))
        unknown = [field for field in instance if field not in fields]
        if unknown:
            raise InputError(
                f"Instance {index} has a field {shown(unknown[0])}.",
                f"The fields are {' and '.join(fields)}.",
            )
        text = instance.get(limits.input)
        if "b64" in instance:
            text = _from_base64(index, instance["b64"])
    if not isinstance(text, str):
        example = _SHAPE.replace('"text"', f'"{limits.input}"')
        raise InputError(f"Instance {index} is {shown(instance)}.", example)
    return text


def _from_base64(index: int, value: object) -> str:
    try:
        content = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        content = None
    if content is None:
        raise InputError(f"Field b64 of instance {index} is {shown(value)}.", "Send base64.")
    return content.decode("utf-8", "surrogateescape")


def _ids(instances: list[Any]) -> tuple[str | None, ...] | None:
    ids = [instance.get("id") if isinstance(instance, dict) else None for instance in instances]
    for index, name in enumerate(ids):
        if not isinstance(name, str | None):
            raise InputError(f"Instance {index} has the id {shown(name)}.", "Send a string.")
    return None if all(name is None for name in ids) else tuple(ids)
