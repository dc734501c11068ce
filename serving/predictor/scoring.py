"""From a decoded request to its answer: what every server of a bundle does between its codecs."""

from __future__ import annotations

import asyncio

from rampart.inference.batching import Batcher
from rampart.inference.engine import Engine
from rampart.inference.options import ScoreOptions
from rampart.inference.selection import select
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import ScoreRequest


async def scored(engine: Engine, batcher: Batcher, request: ScoreRequest) -> Answer:
    """The engine's answer, computed together with other requests that wait.

    Raises:
        InputError: a model is asked for that the bundle does not have.
        OverloadedError: the queue is full.
    """
    options, manifest = request.options, engine.manifest
    selection = select(manifest, options.models)
    asked = ScoreOptions(
        top_k=options.top_k,
        explain="none" if options.explain == "none" else "contributions",
        threshold=options.threshold,
        models=options.models,
    )
    verdicts = await asyncio.wrap_future(batcher.submit(request.texts, asked))
    return Answer(
        request,
        verdicts,
        manifest.id,
        selection.threshold if options.threshold is None else options.threshold,
        manifest.labels,
        tuple(entry.name for entry in manifest.models),
        engine.method,
    )
