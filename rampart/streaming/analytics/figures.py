"""What analytics show to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PROBABILITY = tuple(step / 20 for step in range(1, 21))
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600)


class AnalyticsFigures:
    """The figures of one process; sources and categories are as many as senders name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._verdicts = Counter(
            "rampart_analytics_verdicts",
            "Verdicts read, by label",
            ["label"],
            registry=self.registry,
        )
        self._probability = Histogram(
            "rampart_analytics_probability",
            "Probability of a threat",
            registry=self.registry,
            buckets=_PROBABILITY,
        )
        self._latency = Histogram(
            "rampart_analytics_latency_seconds",
            "From a message coming in to its verdict",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._windows = Counter(
            "rampart_analytics_windows", "Windows closed", ["kind"], registry=self.registry
        )
        self._campaign_messages = Counter(
            "rampart_analytics_campaign_messages",
            "Messages that are near-duplicates of one before",
            registry=self.registry,
        )
        self._largest = Gauge(
            "rampart_analytics_largest_campaign",
            "Messages within a day of the campaign that was added to last",
            registry=self.registry,
        )
        self.late = Counter(
            "rampart_analytics_late",
            "Messages that came after their window was closed",
            registry=self.registry,
        )

    def verdict(self, value: Mapping[str, Any]) -> None:
        """Count a verdict."""
        self._verdicts.labels(value["label"]).inc()
        self._probability.observe(value["probability"])
        self._latency.observe(value["latency"] / 1e3)

    def window(self, value: Mapping[str, Any]) -> None:
        """Count a closed window."""
        self._windows.labels(value["kind"]).inc()

    def campaign(self, value: Mapping[str, Any]) -> None:
        """Count a message of a campaign."""
        self._campaign_messages.inc()
        self._largest.set(value["messages"])
