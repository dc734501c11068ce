"""The aggregator's process: listen, make one answer of several, and leave in good order."""

from __future__ import annotations

from serving.aggregator.model import AggregatorModel
from serving.aggregator.settings import AggregatorSettings
from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.server import configure_logging, serve_model
from serving.predictor.worker import Worker


def serve(settings: AggregatorSettings) -> None:
    """Make one answer of several models' until the process is told to stop.

    Signals are taken as the predictor takes them.

    Raises:
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    configure_logging()
    worker = Worker(settings.queue)
    metrics.watch(lambda: worker.depth)
    limits = Limits(settings.max_texts, settings.max_text_bytes, settings.top_k, settings.max_top_k)
    model = AggregatorModel(settings.model_name, worker, limits, settings)
    serve_model(settings, model)
