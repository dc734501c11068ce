"""Serve Anchors: KServe's own flags, `--host`, and `--predictor_host`, which KServe appends.

    python -m serving.alibi_explainer --predictor_host 127.0.0.1:8080 --http_port 8090

V1's :explain takes `instances`, a list of texts, and `parameters`: `precision`, `evaluations`,
`seconds`, `words` and `seed`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import httpx
from kserve import Model, ModelServer, model_server
from kserve.errors import InferenceError, InvalidInput
from kserve.protocol.rest.server import RESTServer

from serving.alibi_explainer.anchors import Effort, anchors

_MOST_TEXTS = 4
_HIGHEST = {
    "precision": 1.0,
    "evaluations": 20_000,
    "seconds": 120.0,
    "words": 300,
    "seed": 2**32 - 1,
}


class AnchorsModel(Model):  # type: ignore[misc]
    """V1's :explain by Anchors; the predictor is asked over the V2 protocol."""

    def __init__(self, name: str, predictor: str, *, deadline: float) -> None:
        super().__init__(name)
        self._url = f"http://{predictor}/v2/models/{name}/infer"
        self._client = httpx.Client(timeout=deadline)
        # Alibi draws from NumPy's global state: one explanation at a time.
        self._turn = asyncio.Lock()
        self.ready = True

    async def explain(
        self,
        payload: object,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> dict[str, Any]:
        """An explanation for each instance; KServe decodes what says it is JSON, and that alone.

        Raises:
            InvalidInput: instances or parameters are wrong, or the predictor refuses the texts.
            InferenceError: the predictor does not answer.
        """
        document = _document(payload)
        texts, effort = _texts(document), _effort(document.get("parameters") or {})
        async with self._turn:
            found = [await asyncio.to_thread(anchors, text, self._labels, effort) for text in texts]
        return {"explanations": found}

    def _labels(self, texts: Sequence[str]) -> list[str]:
        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
        asked = {
            "inputs": [tensor],
            "outputs": [{"name": "label"}],
            "parameters": {"explain": "none"},
        }
        try:
            reply = self._client.post(self._url, json=asked)
        except httpx.HTTPError as error:
            raise InferenceError(f"The predictor does not answer: {error}.") from error
        if reply.is_client_error:
            raise InvalidInput(f"The predictor refuses the texts: {reply.text[:300]}")
        if reply.is_error:
            raise InferenceError(f"The predictor answers {reply.status_code}: {reply.text[:300]}")
        labels: list[str] = reply.json()["outputs"][0]["data"]
        return labels


def _document(payload: object) -> dict[str, Any]:
    if isinstance(payload, bytes):
        try:
            payload = json.loads(payload)
        except ValueError as error:
            raise InvalidInput(f"The body is not JSON: {error}.") from None
    if not isinstance(payload, dict):
        raise InvalidInput('Send an object, such as {"instances": ["a text"]}.')
    return payload


def _texts(payload: Mapping[str, Any]) -> list[str]:
    instances = payload.get("instances")
    if not isinstance(instances, list) or not all(isinstance(text, str) for text in instances):
        raise InvalidInput('Field "instances" has to be a list of texts.')
    if not 1 <= len(instances) <= _MOST_TEXTS:
        raise InvalidInput(f"Send 1 to {_MOST_TEXTS} texts, not {len(instances)}.")
    return instances


def _effort(given: object) -> Effort:
    """The effort asked for, within what this server allows."""
    if not isinstance(given, dict):
        raise InvalidInput('Field "parameters" has to be an object.')
    known = {field.name: field.type for field in fields(Effort)}
    chosen: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise InvalidInput(f"There is no parameter {name!r:.50}: there are {sorted(known)}.")
        whole = name not in ("precision", "seconds")
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise InvalidInput(f"Parameter {name} is {value!r:.50}, which is no number for it.")
        if not 0 < value + (name == "seed") <= _HIGHEST[name]:
            raise InvalidInput(
                f"Parameter {name} is {value}; it is positive and at the most {_HIGHEST[name]}."
            )
        chosen[name] = value
    return Effort(**chosen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.alibi_explainer",
        parents=[model_server.parser],
        conflict_handler="resolve",
        description=__doc__.partition("\n")[0],
    )
    parser.add_argument("--host", default="0.0.0.0", help="Address to bind.")  # noqa: S104 - the kubelet's probes come from outside the pod
    parser.add_argument(
        "--predictor_host", default="127.0.0.1:8080", help="Address of the predictor's REST port."
    )
    parser.add_argument("--model_name", default="rampart", help="The model's name.")
    parser.add_argument(
        "--deadline", type=float, default=30.0, help="Seconds the predictor may take for a batch."
    )
    given = parser.parse_args(arguments)
    model = AnchorsModel(given.model_name, given.predictor_host, deadline=given.deadline)
    server = ModelServer(enable_grpc=False)
    server.register_model(model)
    rest = RESTServer(
        "kserve.model_server:app",
        server.dataplane,
        server.model_repository_extension,
        given.http_port,
    )
    # KServe 0.15 binds every address; the application is its own.
    rest.config.host = given.host
    asyncio.run(rest.start())
    return 0


if __name__ == "__main__":
    sys.exit(main())
