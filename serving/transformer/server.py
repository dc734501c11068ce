"""The transformer's process: connect, listen, read mail, and leave in good order."""

from __future__ import annotations

from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.server import configure_logging, serve_model
from serving.transformer.client import PredictorClient
from serving.transformer.model import ADDED, BY_NAME, INPUT, TransformerModel
from serving.transformer.settings import TransformerSettings


def serve(settings: TransformerSettings) -> None:
    """Read mails and pass their texts on to a predictor until the process is told to stop.

    It need not find the predictor when it starts: requests that come before are refused with a
    503, and the client tries again. Signals are taken as the predictor takes them.

    Raises:
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    configure_logging()
    limits = Limits(
        settings.max_texts,
        settings.max_text_bytes,
        settings.top_k,
        settings.max_top_k,
        input=INPUT,
        raw=True,
        extra=tuple(signature.name for signature in ADDED),
        by_name=BY_NAME,
    )
    predictor = PredictorClient(
        settings.predictor,
        settings.asked,
        deadline=settings.deadline,
    )
    model = TransformerModel(settings.model_name, predictor, limits, settings.queue)
    metrics.watch(lambda: model.in_flight.depth)
    serve_model(settings, model)
