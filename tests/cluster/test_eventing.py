"""What the API server keeps of Knative's resources is what the code and the rights go by.

Its controllers and their admission webhooks are not here: what they would check of a delivery's
words is checked here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from rampart.streaming.connection import Topics
from rampart.streaming.events import MODELS
from tests.cluster.conftest import Kubectl, items
from tests.cluster.resources import MANIFESTS, ROOT, Document, read
from tests.node.stream import grants

pytestmark = pytest.mark.cluster
USER = "rampart-knative"
FOLDER = ROOT / "manifests/eventing"
KINDS = (
    "kafkasources.sources.knative.dev,kafkasinks.eventing.knative.dev,"
    "brokers.eventing.knative.dev,triggers.eventing.knative.dev,jobsinks.sinks.knative.dev,services"
)
DURATION = re.compile(r"^PT(\d+(\.\d+)?)S$")


@pytest.fixture
def kept(kubectl: Kubectl, namespace: str) -> dict[tuple[str, str], Document]:
    """What is there once manifests/eventing is applied: by kind and name."""
    given = [one for path in MANIFESTS if path.parent == FOLDER for one in read(path)]
    kubectl("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", "-", input=given)
    found = items(kubectl("-n", namespace, "get", KINDS, "-o", "json"))
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def granted(kind: str, name: str, operation: str) -> bool:
    """Whether manifests/kafka lets Knative do it."""
    rights = grants(read(ROOT / "manifests/kafka/users.yaml"))
    return [USER, kind, name, "literal", operation] in rights


def assert_delivers(delivery: Any, kept: dict[tuple[str, str], Document]) -> None:
    """Tried again a few times, later and later, and then written where Knative may write."""
    assert delivery["retry"] >= 3
    assert delivery["backoffPolicy"] == "exponential"
    for name in ("backoffDelay", "timeout"):
        match = DURATION.match(delivery[name])
        assert match, delivery[name]
        assert float(match[1]) > 0
    ref = delivery["deadLetterSink"]["ref"]
    sink = kept[ref["kind"], ref["name"]]
    assert sink["apiVersion"] == ref["apiVersion"]
    assert granted("topic", sink["spec"]["topic"], "Write")


def test_the_source_reads_what_it_may_in_its_own_group_and_loses_nothing(kept: Any) -> None:
    spec = kept["KafkaSource", "rampart-received"]["spec"]
    assert spec["topics"] == [Topics().received]
    assert granted("topic", Topics().received, "Read")
    assert granted("group", spec["consumerGroup"], "Read")
    # The stand-alone scorers' is another: both would take each other's messages away.
    assert spec["consumerGroup"] != "rampart-scorer"
    assert spec["initialOffset"] == "earliest"
    assert spec["ordering"] == "ordered"
    partitions = {
        one["metadata"]["name"]: one["spec"]["partitions"]
        for one in read(ROOT / "manifests/kafka/topics.yaml")
    }
    assert 1 <= spec["consumers"] <= partitions[Topics().received]
    assert_delivers(spec["delivery"], kept)
    assert spec["net"]["tls"]["enable"] is True
    assert spec["net"]["tls"]["key"]["secretKeyRef"]["name"] == USER
    ref = spec["sink"]["ref"]
    assert (ref["kind"], ref["name"]) in kept


def test_triggers_take_events_that_there_are_to_those_who_are_there(kept: Any) -> None:
    triggers = [one["spec"] for (kind, _), one in kept.items() if kind == "Trigger"]
    assert len(triggers) >= 3
    for spec in triggers:
        assert ("Broker", spec["broker"]) in kept
        assert spec["filter"]["attributes"]["type"] in MODELS
        ref = spec["subscriber"]["ref"]
        assert (ref["kind"], ref["name"]) in kept
        assert_delivers(spec["delivery"], kept)
    assert_delivers(kept["Broker", "rampart"]["spec"]["delivery"], kept)


def test_sinks_write_where_they_may(kept: Any) -> None:
    sinks = [one["spec"] for (kind, _), one in kept.items() if kind == "KafkaSink"]
    assert Topics().verdicts in {spec["topic"] for spec in sinks}
    for spec in sinks:
        assert granted("topic", spec["topic"], "Write")
