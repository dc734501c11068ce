"""What every server here computes: the same engine, threads and bundle, in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from rampart.inference.engine import Engine

BUNDLE, WORK, THREADS = "BENCHMARK_BUNDLE", "BENCHMARK_WORK", "BENCHMARK_THREADS"
ENCODER, ENSEMBLE, CASCADE = "encoder", "ensemble", "cascade"


def scorer() -> Callable[[Sequence[str]], list[float]]:
    """Makes probabilities of texts, as the environment says: by which models of which bundle."""
    work = os.environ[WORK]
    engine = Engine.load(
        Path(os.environ[BUNDLE]), threads=int(os.environ[THREADS]), cascade=work == CASCADE
    )
    engine.warm_up()

    def score(texts: Sequence[str]) -> list[float]:
        if work == ENCODER:
            verdicts = engine.score(texts, explain="none", models=["encoder"])
        else:
            verdicts = engine.score(texts)
        return [verdict.probability for verdict in verdicts]

    return score
