"""Events in, verdicts out on a real node while scorers are killed and scaled: nothing is lost.

Strimzi is not there: one broker of Kafka's own artefacts stands in for what it would start, with
the same names, the same certificates and the rights that manifests/kafka grants.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

import pytest

from broker.local import lines, properties, secured
from tests.certificates import Authority
from tests.node.site import Site
from tests.node.stream import grants

pytestmark = [pytest.mark.node, pytest.mark.timeout(1_200)]
CLIENT = "stream-client"
SCORERS = "app.kubernetes.io/name=rampart-stream"
BROKER = "rampart-kafka-bootstrap"
COUNT = 6_000
RATE = 60


def ask(site: Site, *words: str) -> Any:
    """The program of this folder, in the pod of whoever asks."""
    return site.python("stream.py", *words, pod=CLIENT, timeout=400)


def secret(name: str, files: dict[str, str]) -> dict[str, Any]:
    data = {file: base64.b64encode(text.encode()).decode() for file, text in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def kafka(service: Site) -> Site:
    """A broker, the topics, and what each user may."""
    authority = Authority()
    users = service.manifest("manifests/kafka/users.yaml")
    listeners = {
        "CONTROLLER": ("127.0.0.1:9090", ""),
        "PLAINTEXT": ("127.0.0.1:9092", "127.0.0.1:9092"),
        "SECURED": ("0.0.0.0:9093", f"{BROKER}:9093"),
    }
    told = properties("/data/kafka", listeners) | secured("/config")
    told["super.users"] += ";User:admin"
    files = {"server.properties": lines(told), "ca.crt": authority.certificate}
    service.apply(
        secret("rampart-kafka", files | {"broker.pem": authority.broker(BROKER)}),
        secret("rampart-cluster-ca-cert", {"ca.crt": authority.certificate}),
        secret("admin", dict(authority.user("admin"))),
        *(
            secret(name, dict(authority.user(name)))
            for name in (user["metadata"]["name"] for user in users)
        ),
        *service.manifest("tests/node/broker.yaml"),
    )
    service.ready("strimzi.io/cluster=rampart")
    service("wait", "--for=condition=Ready", "--timeout=100s", f"pod/{CLIENT}")
    made = ask(service, "make", json.dumps(grants(users)))
    assert made["topics"] >= 8
    return service


@pytest.fixture(scope="module")
def scorer(kafka: Site) -> Site:
    """The project's own Deployment, which asks the InferenceService's predictor."""
    documents = [
        *kafka.manifest("manifests/stream/service-account.yaml"),
        *kafka.manifest("manifests/stream/scorer.yaml"),
    ]
    for document in documents:
        if document["kind"] == "Deployment":
            # A laptop has no cores to keep, as kustomize/overlays/local says of others.
            [container] = document["spec"]["template"]["spec"]["containers"]
            container["resources"]["requests"]["cpu"] = "50m"
    kafka.apply(*documents)
    kafka.ready(SCORERS)
    return kafka


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_nothing_is_lost_while_pods_are_killed_and_come_and_go(
    scorer: Site, guarantee: str
) -> None:
    scorer("set", "env", "deployment/rampart-stream", f"RAMPART_STREAM_GUARANTEE={guarantee}")
    scorer("rollout", "status", "deployment/rampart-stream", "--timeout=100s")
    scorer.ready(SCORERS)
    sent: list[Any] = []
    writing = threading.Thread(
        target=lambda: sent.append(ask(scorer, "send", guarantee, str(COUNT), str(RATE)))
    )
    writing.start()
    killed = 0
    for replicas in (1, 3, 1):
        scorer("scale", "deployment/rampart-stream", f"--replicas={replicas}")
        pods = scorer.ready(SCORERS, replicas)
        time.sleep(5)
        name = pods[0]["metadata"]["name"]
        scorer("delete", "pod", name, "--grace-period=0", "--force")
        killed += 1
        scorer.ready(SCORERS, replicas)
    assert writing.is_alive(), "it was over before all was tried: send more"
    writing.join()
    assert sent == [{"sent": COUNT}]
    found = ask(scorer, "count", guarantee, str(COUNT), "300")
    print(f"{guarantee}: {killed} pods killed, 1 to 3 to 1: {COUNT} sent, {found}")  # noqa: T201
    assert found["keys"] == COUNT
    if guarantee == "exactly-once":
        assert found["records"] == COUNT
