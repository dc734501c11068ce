"""KServe's V1 protocol: {"instances": [...]} in, {"predictions": [...]} out."""

from __future__ import annotations

from typing import Any

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
_FIELDS = frozenset({"text", "id"})


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
    texts = [_text(index, instance) for index, instance in enumerate(instances)]
    check_sizes(texts, limits)
    return Call(ScoreRequest(tuple(texts), chosen, _ids(instances)), encode)


def encode(answer: Answer) -> dict[str, Any]:
    """The answer as V1 has it: a prediction for each instance, with its id if it had one."""
    ids = answer.request.ids or (None,) * len(answer.verdicts)
    predictions = [
        verdict.as_document() | ({} if name is None else {"id": name})
        for verdict, name in zip(answer.verdicts, ids, strict=True)
    ]
    return {"predictions": predictions, "parameters": answer.parameters()}


def _document(body: object) -> dict[str, Any]:
    if isinstance(body, bytes | str):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InputError(f"The body is not JSON: {error}.", _SHAPE) from None
    if not isinstance(body, dict):
        raise InputError(f"The body is {shown(body)}.", _SHAPE)
    return dict(body)


def _text(index: int, instance: object) -> str:
    text = instance
    if isinstance(instance, dict):
        text = instance.get("text")
        unknown = [field for field in instance if field not in _FIELDS]
        if unknown:
            raise InputError(
                f"Instance {index} has a field {shown(unknown[0])}.", "The fields are text and id."
            )
    if not isinstance(text, str):
        raise InputError(f"Instance {index} is {shown(instance)}.", _SHAPE)
    return text


def _ids(instances: list[Any]) -> tuple[str | None, ...] | None:
    ids = [instance.get("id") if isinstance(instance, dict) else None for instance in instances]
    for index, name in enumerate(ids):
        if not isinstance(name, str | None):
            raise InputError(f"Instance {index} has the id {shown(name)}.", "Send a string.")
    return None if all(name is None for name in ids) else tuple(ids)
