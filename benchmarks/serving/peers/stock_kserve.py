"""KServe's own custom predictor, with its latency and access logs off."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.serving.peers.work import scorer


class Stock(Model):  # type: ignore[misc]
    """A model as KServe's documentation writes one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.score = scorer()
        self.ready = True

    def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> Any:
        """Probabilities of the texts."""
        texts = [
            text.decode() if isinstance(text, bytes) else text
            for text in payload.inputs[0].as_numpy().reshape(-1).tolist()
        ]
        output = InferOutput("probability", [len(texts)], "FP32")
        output.set_data_from_numpy(np.array(self.score(texts), dtype=np.float32), binary_data=False)
        return InferResponse(payload.id or "", self.name, [output])


if __name__ == "__main__":
    port = int(sys.argv.pop())
    ModelServer(
        http_port=port,
        enable_grpc=False,
        workers=1,
        enable_latency_logging=False,
        access_log_format="",
    ).start([Stock("rampart")])
