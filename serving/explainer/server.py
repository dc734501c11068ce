"""The explainer's process: connect, listen, explain, and leave in good order."""

from __future__ import annotations

from serving.explainer.client import PredictorClient
from serving.explainer.methods import METHODS, warm_up
from serving.explainer.model import ExplainerModel
from serving.explainer.settings import ExplainerSettings
from serving.predictor import metrics
from serving.predictor.codec.request import Limits
from serving.predictor.server import configure_logging, serve_model
from serving.predictor.worker import Worker


def serve(settings: ExplainerSettings) -> None:
    """Explain a predictor's verdicts until the process is told to stop.

    It need not find the predictor when it starts: requests that come before are refused with a
    503, and the client tries again. Signals are taken as the predictor takes them.

    Raises:
        InputError: a port cannot be listened on.
        OverloadedError: it was told to stop, and requests were not answered in the grace given.
    """
    configure_logging()
    warm_up()
    worker = Worker(settings.queue)
    metrics.watch(lambda: worker.depth)
    limits = Limits(
        settings.max_texts,
        settings.max_text_bytes,
        settings.top_k,
        settings.max_top_k,
        (*METHODS, "none"),
        settings.evaluations,
        settings.seconds,
    )
    predictor = PredictorClient(
        settings.predictor,
        settings.asked,
        batch=settings.batch,
        deadline=settings.deadline,
    )
    model = ExplainerModel(
        settings.model_name, predictor, worker, limits, batch=settings.batch, kept=settings.kept
    )
    try:
        serve_model(settings, model)
    finally:
        predictor.close()
