"""The engine as a KServe model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rampart.bundle.cache import Holding
from rampart.errors import InputError
from rampart.inference.batching import Batcher
from rampart.inference.engine import Engine
from serving.predictor import metrics
from serving.predictor.codec import v1, v2_grpc, v2_rest
from serving.predictor.codec.answer import INPUTS, OUTPUTS, Answer, Signature
from serving.predictor.codec.call import Call
from serving.predictor.codec.request import Limits
from serving.predictor.scoring import scored
from serving.predictor.sdk import Model, pb
from serving.predictor.worker import Queued


class ProtocolModel(Model):  # type: ignore[misc]
    """Decodes in `preprocess`, encodes in `postprocess`; what is between is the subclass's.

    So KServe's histograms of the three show what each costs. The payload is what the protocol
    brought: a `V2Body`, a gRPC message, or a V1 document.
    """

    inputs: ClassVar[tuple[Signature, ...]] = INPUTS
    outputs: ClassVar[tuple[Signature, ...]] = OUTPUTS

    def __init__(self, name: str, worker: Queued, limits: Limits) -> None:
        super().__init__(name)
        self.worker = worker
        self.limits = limits

    def load(self) -> bool:
        """Whether the model is ready.

        KServe calls this on a request that finds the model not ready, and its own `load` then
        says it is ready: a server that is being stopped would take new requests.
        """
        return bool(self.ready)

    async def healthy(self) -> bool:
        """Whether requests are answered."""
        return bool(self.ready) and self.worker.alive

    def workers(self) -> Sequence[Queued]:
        """All that may have requests to answer."""
        return [self.worker]

    def get_input_types(self) -> list[dict[str, Any]]:
        """Inputs as the V2 metadata has them."""
        return [signature.as_document() for signature in self.inputs]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Outputs as the V2 metadata has them."""
        return [signature.as_document() for signature in self.outputs]

    async def preprocess(
        self,
        payload: Any,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> Any:
        """Decode a request into a `Call`.

        Raises:
            InputError: the request is wrong; or over a limit, as a TooLargeError.
        """
        if isinstance(payload, v2_rest.V2Body):
            return v2_rest.decode(payload, self.name, self.limits)
        if isinstance(payload, pb.ModelInferRequest):
            return v2_grpc.decode(payload, self.limits)
        return v1.decode(payload, self.limits)

    async def postprocess(
        self,
        result: tuple[Call, Answer],
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> Any:
        """Encode the answer as the request's protocol has it."""
        call, answer = result
        return call.encode(answer)


@dataclass(frozen=True, slots=True)
class Served:
    """A bundle that answers: its engine, what gathers calls for it, and what it holds on disk."""

    engine: Engine
    batcher: Batcher
    holding: Holding | None = None

    def close(self) -> None:
        """Answer what was taken, and let go."""
        self.batcher.close()
        if self.holding:
            self.holding.release()


class RampartModel(ProtocolModel):
    """A bundle's engine behind the protocol; another bundle may take its place at any time."""

    def __init__(self, name: str, served: Served, limits: Limits) -> None:
        super().__init__(name, served.batcher, limits)
        self.served = served
        self._before: list[Batcher] = []

    @property
    def rampart(self) -> Engine:
        """The engine that new requests are sent to."""
        return self.served.engine

    def swap(self, served: Served) -> Served:
        """Send new requests to another bundle; returns the one that answered till now."""
        before, self.served = self.served, served
        self.worker = served.batcher
        self._before = [*(one for one in self._before if one.unfinished), before.batcher]
        return before

    def workers(self) -> Sequence[Queued]:
        """This bundle's, and those of earlier ones that still answer."""
        return [self.served.batcher, *self._before]

    def members(self) -> dict[str, Any]:
        """The bundle's models and how their logits become one."""
        manifest = self.rampart.manifest
        return {
            "bundle": manifest.id,
            "labels": list(manifest.labels),
            "threshold": manifest.threshold,
            "ensemble": manifest.ensemble.model_dump(mode="json"),
            "models": [entry.model_dump(mode="json") for entry in manifest.models],
        }

    async def predict(
        self,
        payload: Call,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> tuple[Call, Answer]:
        """Score the texts together with those of other requests that wait.

        Raises:
            InputError: a model is asked for that the bundle does not have.
            OverloadedError: the queue is full.
        """
        # All from one bundle, whatever takes its place while this waits.
        served = self.served
        answer = await scored(served.engine, served.batcher, payload.request)
        metrics.count_verdicts(answer.verdicts)
        return payload, answer

    async def explain(
        self,
        payload: Any,  # noqa: ARG002 - KServe's signature
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
    ) -> Any:
        """Refuse V1's :explain, which KServe would forward to an explainer that is not there.

        Raises:
            InputError: always.
        """
        raise InputError(
            "This model is not an explainer.", "Send the request to :predict; it explains as well."
        )
