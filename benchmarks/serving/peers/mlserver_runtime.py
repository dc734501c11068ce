"""A runtime for MLServer, whose adaptive batching gathers requests before it is called."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.peers.work import scorer


class Runtime(MLModel):  # type: ignore[misc]
    """A model as MLServer's documentation writes one."""

    async def load(self) -> bool:
        """Read the bundle."""
        self.score = scorer()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities of the texts of all requests that were gathered."""
        texts = StringCodec.decode_input(payload.inputs[0])
        values = np.array(self.score(texts), dtype=np.float32)
        output = NumpyCodec.encode_output("probability", values)
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
