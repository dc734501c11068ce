"""A predictor elsewhere as a scorer: KServe's V2 protocol over gRPC, several texts to a call."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import grpc  # type: ignore[import-untyped]

from rampart.streaming.scoring import About, Scores
from serving.predictor import messages
from serving.predictor.sdk import pb_grpc

# More would only wait there, where others ask as well.
_CALLS = 4


class PredictorScorer:
    """Asks one model of a predictor."""

    def __init__(
        self, address: str, model: str, *, texts: int = 32, seconds: float = 10.0, top_k: int = 10
    ) -> None:
        """Nothing is asked yet.

        Args:
            address: of the predictor's gRPC.
            model: its name there.
            texts: of one call.
            seconds: that a call may take.
            top_k: spans that each explanation keeps at the most.
        """
        self.texts = texts
        self.calls = _CALLS
        self._address = address
        self._model = model
        self._seconds = seconds
        self._parameters = {"top_k": str(top_k)}
        # A headless Service has an address for each pod, and calls go to all of them in turn.
        options = [*messages.UNLIMITED, ("grpc.lb_policy_name", "round_robin")]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = pb_grpc.GRPCInferenceServiceStub(self._channel)

    @property
    def alive(self) -> bool:
        """Each call ends by itself, at the latest when it takes too long."""
        return True

    def submit(self, texts: Sequence[str]) -> Future[Scores]:
        """The verdicts on the texts, once they are there."""
        answer: Future[Scores] = Future()
        message = messages.request(self._model, texts, self._parameters)
        call = self._stub.ModelInfer.future(message, timeout=self._seconds)
        call.add_done_callback(lambda done: self._answered(done, len(texts), answer))
        return answer

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _answered(self, done: Any, count: int, answer: Future[Scores]) -> None:
        try:
            answer.set_result(_read(done.result(), count))
        except grpc.FutureCancelledError:
            answer.cancel()
        except grpc.RpcError as error:
            # Whether the texts or the predictor are slow is for whoever asked to find out.
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                answer.set_exception(TimeoutError(f"No answer in {self._seconds:g} s."))
            else:
                answer.set_exception(messages.refusal(self._address, error) or error)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            answer.set_exception(error)


def _read(reply: Any, count: int) -> Scores:
    about = messages.about(reply)
    models = tuple(filter(None, about["models"].split(",")))
    verdicts = messages.verdicts(messages.columns(reply), models, count)
    _, threat = about["labels"].split(",")
    return Scores(
        verdicts, About(about["bundle"], float(about["threshold"]), threat, about["method"])
    )
