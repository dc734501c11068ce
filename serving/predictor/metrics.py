"""What /metrics shows beside KServe's own histograms."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from rampart.inference.verdict import Verdict

TEXTS = Counter("rampart_texts", "Texts answered, by label and settling stage", ["label", "stage"])
REJECTED = Counter("rampart_rejected_requests", "Requests refused, by reason", ["reason"])
QUEUE_DEPTH = Gauge("rampart_queue_depth", "Requests that wait for the engine")
INFERENCE_SECONDS = Histogram(
    "rampart_inference_seconds",
    "Seconds the engine took for a request, without the wait",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)


def count_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Count the texts of an answer."""
    for verdict in verdicts:
        TEXTS.labels(verdict.label, verdict.stage).inc()
