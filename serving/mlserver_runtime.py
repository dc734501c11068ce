"""Rampart in MLServer: a runtime for a bundle, with the predictor's inputs, parameters and outputs.

`rampart bundle export --format mlserver` writes the folder that names it. Requests that wait are
gathered by Rampart's own batches, so MLServer's adaptive batching is best left off: it would put
requests with different parameters together.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput
from mlserver.utils import get_model_uri

from rampart.errors import RampartError
from rampart.inference.batching import Batcher
from rampart.inference.cache import VerdictCache
from rampart.inference.engine import Engine
from serving.predictor.codec.answer import output_tensors
from serving.predictor.codec.request import Limits
from serving.predictor.codec.tensor import InputTensor, score_request, wanted_outputs
from serving.predictor.scoring import scored

_CACHE_BYTES = 64_000_000


class RampartRuntime(MLModel):  # type: ignore[misc]
    """A bundle behind MLServer's V2."""

    async def load(self) -> bool:
        """Check the bundle and read its models."""
        folder = Path(await get_model_uri(self._settings))
        self.engine = await asyncio.to_thread(Engine.load, folder)
        await asyncio.to_thread(self.engine.warm_up)
        self.batcher = Batcher(
            self.engine.begin, bundle=self.engine.manifest.id, cache=VerdictCache(_CACHE_BYTES)
        )
        return True

    async def unload(self) -> bool:
        """Answer what was taken, and end."""
        await asyncio.to_thread(self.batcher.close)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Verdicts as the predictor gives them.

        Raises:
            InferenceError: what was sent cannot be used; it says why.
        """
        try:
            return await self._answer(payload)
        except RampartError as error:
            raise InferenceError(str(error)) from None

    async def _answer(self, payload: InferenceRequest) -> InferenceResponse:
        limits = Limits()
        tensors = [
            InputTensor(one.name, str(one.datatype), tuple(one.shape), list(one.data.root))
            for one in payload.inputs
        ]
        request = score_request(tensors, _parameters(payload.parameters), limits)
        names = [one.name for one in payload.outputs or []]
        outputs = wanted_outputs(names, limits, with_ids=request.ids is not None)
        answer = await scored(self.engine, self.batcher, request)
        given = output_tensors(answer)
        return InferenceResponse(
            model_name=self.name,
            id=payload.id,
            parameters=Parameters(**answer.parameters()),
            outputs=[_output(given[name]) for name in outputs],
        )


def _parameters(parameters: Any) -> dict[str, Any]:
    """Those that the client sent; MLServer puts the request's headers among them."""
    return {} if parameters is None else parameters.model_dump(exclude_none=True)


def _output(tensor: Any) -> ResponseOutput:
    flat = tensor.flat()
    return ResponseOutput(
        name=tensor.name,
        datatype=tensor.datatype,
        shape=tensor.shape,
        data=flat if isinstance(flat, list) else flat.tolist(),
    )
