"""Rampart in TorchServe: a handler for a bundle, whose encoder may be TorchScript.

`rampart bundle export --format torchserve` writes the archive that names it. TorchServe sends what
comes to /v1/models/NAME:predict and /v2/models/NAME/infer to a handler as it came, so clients ask
and are answered as by the predictor; its own envelopes for these protocols are left off, because
they take one text a request and no parameters. Nothing here is unpickled: TorchScript is read by
its own loader, and the rest of the bundle is checked against its manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import torch

from rampart.errors import RampartError, outcome
from rampart.inference.engine import Engine
from rampart.models.encoder import ATTRIBUTIONS, TERMS, EncoderModel
from serving.export import BUNDLE, SCRIPTS
from serving.predictor.codec import v1, v2_rest
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits
from serving.predictor.scoring import scored_together

_BAD_REQUEST = 400


class Script:
    """TorchScript behind the calls that the encoder makes to ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        self._module = torch.jit.load(str(path), map_location="cpu")

    def run(self, outputs: Sequence[str], fed: dict[str, Any], _: object = None) -> list[Any]:
        """The outputs of those names, arrays of numbers."""
        with torch.inference_mode():
            given = self._module(*(torch.from_numpy(fed[name]) for name in fed))
        found = dict(zip((TERMS, ATTRIBUTIONS), given, strict=False))
        return [found[name].numpy() for name in outputs]


class Handler:
    """Requests that TorchServe has gathered, to their answers."""

    def __init__(self, folder: Path, name: str) -> None:
        self.engine = Engine.load(folder / BUNDLE)
        self.name = name
        for model_name, model in self.engine.models.items():
            script = folder / SCRIPTS / f"{model_name}.pt"
            if isinstance(model, EncoderModel) and script.exists():
                model.session = Script(script)
        self.engine.warm_up()

    def answer(self, bodies: Sequence[Any]) -> list[tuple[int, Any]]:
        """An HTTP status and a body for each body that came."""
        read = [self._read(body) for body in bodies]
        requests = [one.request if isinstance(one, Call) else one for one in read]
        answers = scored_together(self.engine, requests)
        return [_reply(*both) for both in zip(read, answers, strict=True)]

    def _read(self, body: Any) -> Call | RampartError:
        try:
            if isinstance(body, dict) and "instances" in body:
                return v1.decode(body, Limits())
            # TorchServe parses what says that it is JSON.
            content = bytes(body) if isinstance(body, bytes | bytearray) else orjson.dumps(body)
            return v2_rest.decode(v2_rest.V2Body(content), self.name, Limits())
        except RampartError as error:
            return error


def _reply(call: Call | RampartError, answer: Answer | RampartError) -> tuple[int, Any]:
    if isinstance(answer, RampartError):
        return outcome(answer).http_status, {"error": str(answer)}
    assert isinstance(call, Call)  # noqa: S101 - what could not be read comes back as its error
    reply = call.encode(answer)
    # TorchServe writes JSON itself.
    return 200, orjson.loads(reply.content) if isinstance(reply, v2_rest.V2Reply) else reply


_handlers: dict[str, Handler] = {}


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[Any] | None:
    """TorchServe's entry point: called without data to load, and then with what it gathered."""
    folder = context.system_properties["model_dir"]
    if folder not in _handlers:
        _handlers[folder] = Handler(Path(folder), context.manifest["model"]["modelName"])
    if not data:
        return None
    bodies = [one.get("body", one.get("data", b"")) for one in data]
    answers = _handlers[folder].answer(bodies)
    for row, (status, _) in enumerate(answers):
        if status >= _BAD_REQUEST:
            context.set_response_status(status, idx=row)
    return [body for _, body in answers]
