"""The predictor as the explainer sees it: texts in, verdicts or logits out, over gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np

from rampart.models.base import Floats
from serving.predictor import messages
from serving.predictor.sdk import pb, pb_grpc

_NO_EXPLANATION = {"explain": "none", "top_k": "0"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The predictor's verdicts on n texts, and what it reached them with.

    Attributes:
        label: of each text.
        probability: of each, float64 [n].
        logit: of each, float64 [n].
        stage: that settled each.
        each: probability of every model of the bundle, float64 [n, m]; -1 where it was not asked.
        models: their names.
        bundle: its id.
        threshold: that applied.
        labels: the harmless label, then the threat.
    """

    label: list[str]
    probability: Floats
    logit: Floats
    stage: list[str]
    each: Floats
    models: tuple[str, ...]
    bundle: str
    threshold: float
    labels: tuple[str, str]


class PredictorClient:
    """Calls one model of a predictor; safe to use from several threads."""

    def __init__(self, address: str, model: str, *, batch: int, deadline: float) -> None:
        self._address = address
        self._model = model
        self._batch = batch
        self._deadline = deadline
        self._channel = grpc.insecure_channel(self._address, options=messages.UNLIMITED)
        self._stub = pb_grpc.GRPCInferenceServiceStub(self._channel)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def ready(self) -> bool:
        """Whether the predictor answers for the model."""
        try:
            answer = self._stub.ModelReady(
                pb.ModelReadyRequest(name=self._model), timeout=self._deadline
            )
        except grpc.RpcError:
            return False
        return bool(answer.ready)

    def judge(self, texts: Sequence[str], parameters: dict[str, str]) -> Judged:
        """Verdicts on texts.

        Raises:
            RampartError: what the predictor refused, or that it cannot be reached.
        """
        answer = self._infer(texts, parameters, ())
        columns, about = messages.columns(answer), messages.about(answer)
        harmless, threat = about["labels"].split(",")
        models = tuple(filter(None, about["models"].split(",")))
        each = np.array(columns["model_probability"], dtype=np.float64)
        return Judged(
            label=columns["label"],
            probability=np.array(columns["probability"], dtype=np.float64),
            logit=np.array(columns["logit"], dtype=np.float64),
            stage=columns["stage"],
            each=each.reshape(len(texts), len(models)),
            models=models,
            bundle=about["bundle"],
            threshold=float(about["threshold"]),
            labels=(harmless, threat),
        )

    def logits(self, texts: Sequence[str], parameters: dict[str, str]) -> Floats:
        """Logits of texts, float64 [n], in batches.

        Raises:
            RampartError: as `judge`.
        """
        found: list[float] = []
        for first in range(0, len(texts), self._batch):
            answer = self._infer(texts[first : first + self._batch], parameters, ("logit",))
            found += messages.columns(answer)["logit"]
        return np.array(found, dtype=np.float64)

    def _infer(
        self, texts: Sequence[str], parameters: dict[str, str], outputs: Sequence[str]
    ) -> Any:
        request = messages.request(self._model, texts, parameters | _NO_EXPLANATION, outputs)
        try:
            return self._stub.ModelInfer(request, timeout=self._deadline)
        except grpc.RpcError as error:
            refused = messages.refusal(self._address, error)
            if refused is None:
                raise
            raise refused from None
