"""What /metrics shows beside KServe's own histograms."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from rampart.inference.cache import VerdictCache
from rampart.inference.verdict import Verdict

SHARED = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""Whether several processes serve, and any of them shows what all of them count."""

TEXTS = Counter("rampart_texts", "Texts answered, by label and settling stage", ["label", "stage"])
REJECTED = Counter("rampart_rejected_requests", "Requests refused, by reason", ["reason"])
QUEUE_DEPTH = Gauge(
    "rampart_queue_depth", "Requests that wait for the engine", multiprocess_mode="livesum"
)
CACHE_HITS = Gauge(
    "rampart_cache_hits",
    "Texts answered from the verdict cache since the start",
    multiprocess_mode="livesum",
)
CACHE_MISSES = Gauge(
    "rampart_cache_misses",
    "Texts that the verdict cache did not know",
    multiprocess_mode="livesum",
)
CACHE_BYTES = Gauge(
    "rampart_cache_bytes", "About what the verdict cache takes", multiprocess_mode="livesum"
)
BATCH_TEXTS = Histogram(
    "rampart_batch_texts", "Texts that were scored together", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
BATCH_SECONDS = Counter("rampart_batch_seconds", "Seconds the engine computed")
BUNDLE = Gauge(
    "rampart_bundle",
    "1 for the bundle that a model answers from",
    ["model", "bundle"],
    multiprocess_mode="livemax",
)
BUNDLE_SWAPS = Counter("rampart_bundle_swaps", "Bundles that took the place of another", ["model"])
INFERENCE_SECONDS = Histogram(
    "rampart_inference_seconds",
    "Seconds from a request's first batch to its answer, without the wait before it",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
START_SECONDS = Gauge(
    "rampart_start_seconds",
    "Seconds that each part of the start took, from the process' first moment",
    ["part"],
    multiprocess_mode="max",
)

_begun = [psutil.Process().create_time()]
_watched: list[tuple[Gauge, Callable[[], float]]] = []


def started(part: str) -> None:
    """A part of the start is done; the next one begins."""
    now = time.time()
    START_SECONDS.labels(part).set(now - _begun[0])
    _begun[0] = now


def watch(depth: Callable[[], int], cache: VerdictCache | None = None) -> None:
    """Show how many requests wait, and what the cache is good for."""
    _watched[:] = [(QUEUE_DEPTH, depth)]
    if cache is not None:
        _watched.extend(
            [
                (CACHE_HITS, lambda: cache.hits),
                (CACHE_MISSES, lambda: cache.misses),
                (CACHE_BYTES, lambda: cache.bytes),
            ]
        )
    if not SHARED:
        for gauge, value in _watched:
            gauge.set_function(value)


def refresh() -> None:
    """Write down what is watched, for other processes to show."""
    for gauge, value in _watched:
        gauge.set(value())


def of_all(accept: str) -> tuple[bytes, str]:
    """What all processes count, and its content type."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def count_batch(texts: int, seconds: float) -> None:
    """Count a batch."""
    BATCH_TEXTS.observe(texts)
    BATCH_SECONDS.inc(seconds)


def show_bundle(model: str, bundle: str, before: str = "") -> None:
    """Show which bundle a model answers from now; none where `bundle` is empty."""
    if before and SHARED:
        # What is written for others to read cannot be taken back, only set.
        BUNDLE.labels(model, before).set(0)
    elif before:
        BUNDLE.remove(model, before)
    if bundle:
        BUNDLE.labels(model, bundle).set(1)
    if before and bundle:
        BUNDLE_SWAPS.labels(model).inc()


def count_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Count the texts of an answer."""
    for verdict in verdicts:
        TEXTS.labels(verdict.label, verdict.stage).inc()
