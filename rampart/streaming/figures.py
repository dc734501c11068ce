"""What a scorer of streams shows to Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600,
)  # fmt: skip


class Figures:
    """The figures of one processor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = Counter(
            "rampart_stream_records",
            "Records read, by topic",
            ["topic"],
            registry=self.registry,
        )
        self.outputs = Counter(
            "rampart_stream_outputs",
            "What records became and is written: verdict, retry, or the reason of a dead letter",
            ["kind"],
            registry=self.registry,
        )
        self.threats = Counter(
            "rampart_stream_verdicts",
            "Verdicts, by label and the stage that settled them",
            ["label", "stage"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "rampart_stream_seconds",
            "From a record's timestamp to what became of it being written",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.here = Histogram(
            "rampart_stream_processing_seconds",
            "From a record being read to what became of it being written",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.rebalances = Counter(
            "rampart_stream_rebalances",
            "Partitions that came, were handed over, or were lost",
            ["what"],
            registry=self.registry,
        )
        self.errors = Counter(
            "rampart_stream_client_errors",
            "What Kafka's client complained of, such as a broker that is away",
            ["error"],
            registry=self.registry,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a number as it is when somebody looks."""
        Gauge(f"rampart_stream_{name}", text, registry=self.registry).set_function(value)
