"""From a decoded request to its answer: what every server of a bundle does between its codecs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rampart.errors import RampartError
from rampart.inference.batching import Batcher
from rampart.inference.engine import Engine
from rampart.inference.options import ScoreOptions
from rampart.inference.selection import select
from rampart.inference.verdict import Verdict
from serving.predictor.codec.answer import Answer
from serving.predictor.codec.request import ScoreRequest


async def scored(engine: Engine, batcher: Batcher, request: ScoreRequest) -> Answer:
    """The engine's answer, computed together with other requests that wait.

    Raises:
        InputError: a model is asked for that the bundle does not have.
        OverloadedError: the queue is full.
    """
    threshold = _threshold(engine, request)
    verdicts = await asyncio.wrap_future(batcher.submit(request.texts, _asked(request)))
    return _answer(engine, request, threshold, verdicts)


def scored_together(
    engine: Engine, requests: Sequence[ScoreRequest | RampartError]
) -> list[Answer | RampartError]:
    """The answers to requests that came together, or why there is none, in their order.

    Where a server gathers requests itself; those that ask in the same way are scored in one go. A
    request that could not be read comes as its error, and so it goes back.
    """
    found: dict[int, Answer | RampartError] = {}
    alike: dict[ScoreOptions, list[tuple[int, ScoreRequest]]] = {}
    for row, request in enumerate(requests):
        if isinstance(request, RampartError):
            found[row] = request
        else:
            alike.setdefault(_asked(request), []).append((row, request))
    for options, rows in alike.items():
        texts = [text for _, request in rows for text in request.texts]
        try:
            verdicts = iter(engine.begin(texts, options).finish())
            for row, request in rows:
                own = [next(verdicts) for _ in request.texts]
                found[row] = _answer(engine, request, _threshold(engine, request), own)
        except RampartError as error:
            found |= dict.fromkeys((row for row, _ in rows), error)
    return [found[row] for row in range(len(requests))]


def _asked(request: ScoreRequest) -> ScoreOptions:
    options = request.options
    return ScoreOptions(
        top_k=options.top_k,
        explain="none" if options.explain == "none" else "contributions",
        threshold=options.threshold,
        models=options.models,
    )


def _threshold(engine: Engine, request: ScoreRequest) -> float:
    selection = select(engine.manifest, request.options.models)
    given = request.options.threshold
    return selection.threshold if given is None else given


def _answer(
    engine: Engine, request: ScoreRequest, threshold: float, verdicts: Sequence[Verdict]
) -> Answer:
    manifest = engine.manifest
    return Answer(
        request,
        verdicts,
        manifest.id,
        threshold,
        manifest.labels,
        tuple(entry.name for entry in manifest.models),
        engine.method,
    )
