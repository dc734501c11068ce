"""What is applied serves on a real node: the verdicts of the local server, and no request lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rampart.bundle.store import read_manifest
from rampart.inference.engine import Engine
from tests.integration.serving.conftest import TEXTS, question
from tests.node.site import Site, condition

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]


def columns(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["status"] == 200, answer
    return {one["name"]: one["data"] for one in answer["body"]["outputs"]}


def assert_the_bundles_verdicts(answer: dict[str, Any], bundle: Path, texts: list[str]) -> None:
    """By the engine, here."""
    found, expected = columns(answer), Engine.load(bundle, threads=1).score(texts)
    assert found["label"] == [verdict.label for verdict in expected]
    assert found["logit"] == pytest.approx([verdict.logit for verdict in expected], abs=0.02)
    assert answer["body"]["parameters"]["bundle"] == read_manifest(bundle).id


def ask(site: Site, url: str, document: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = site.python("verdicts.py", url, json.dumps(document))
    return answer


def test_a_client_gets_the_verdicts_of_the_local_server(
    service: Site, bundles: dict[str, Path]
) -> None:
    url = "http://rampart-predictor/v2/models/rampart/infer"
    assert_the_bundles_verdicts(ask(service, url, question(TEXTS)), bundles["old"], TEXTS)


def test_the_transformer_takes_mails(service: Site, bundles: dict[str, Path]) -> None:
    mail = "From: a@example.com\nSubject: Win a free prize\n\nClick here to claim your money.\n"
    entry = {"name": "mail", "shape": [1], "datatype": "BYTES", "data": [mail]}
    url = service.get("inferenceservice", "rampart")["status"]["address"]["url"]
    answer = ask(service, f"{url}/v2/models/rampart/infer", {"inputs": [entry]})
    text = "Win a free prize\n\nClick here to claim your money.\n"
    assert_the_bundles_verdicts(answer, bundles["old"], [text])


def test_the_explainer_explains(service: Site) -> None:
    text = "Win a free prize today, click here"
    url = "http://rampart-explainer/v1/models/rampart:explain"
    answer = ask(service, url, {"instances": [text], "parameters": {"explain": "occlusion"}})
    assert answer["status"] == 200, answer
    [one] = answer["body"]["explanations"]
    assert one["bias"] + sum(part["value"] for part in one["contributions"]) == pytest.approx(
        one["logit"], abs=1e-4
    )
    assert answer["body"]["parameters"]["method"] == "occlusion"


@pytest.fixture
def two(service: Site) -> Iterator[Site]:
    """Two replicas of the predictor."""
    _replicas(service, 2)
    yield service
    _replicas(service, 1)


def _replicas(site: Site, count: int) -> None:
    patch = {"spec": {"predictor": {"minReplicas": count}}}
    site("patch", "inferenceservice", "rampart", "--type=merge", "-p", json.dumps(patch))
    site.ready("serving.kserve.io/inferenceservice=rampart,component=predictor", count)


PREDICTORS = "serving.kserve.io/inferenceservice=rampart,component=predictor"
URL = "http://rampart-predictor/v2/models/rampart/infer"


def test_a_pod_that_is_deleted_under_load_costs_no_request(two: Site) -> None:
    with two.asking(URL) as found:
        time.sleep(3)
        [first, *_] = two.get("pods", "-l", PREDICTORS)
        two("delete", "pod", first["metadata"]["name"], "--wait=false")
        two.until(lambda: _replaced(two, first, 2), "another pod")
        time.sleep(3)
    assert found["failed"] == []
    assert sum(found["bundles"].values()) > 20


def test_a_pod_that_is_killed_under_load_costs_what_was_in_flight(two: Site) -> None:
    connections = 4
    with two.asking(URL, connections) as found:
        time.sleep(3)
        [first, *_] = two.get("pods", "-l", PREDICTORS)
        name = first["metadata"]["name"]
        two("delete", "pod", name, "--force", "--grace-period=0", "--wait=false")
        two.until(lambda: _replaced(two, first, 2), "another pod")
        time.sleep(3)
    assert len(found["failed"]) <= connections, found["failed"]
    assert sum(found["bundles"].values()) > 20


def _replaced(site: Site, old: dict[str, Any], count: int) -> bool:
    pods = site.get("pods", "-l", PREDICTORS)
    names = [pod["metadata"]["name"] for pod in pods if condition(pod, "Ready") == "True"]
    return old["metadata"]["name"] not in names and len(names) == count


def serve(site: Site, uri: str) -> None:
    """Another bundle for the InferenceService; returns when nothing else serves any more."""
    before = site.get("pods", "-l", PREDICTORS)
    patch = {"spec": {"predictor": {"model": {"storageUri": uri}}}}
    site("patch", "inferenceservice", "rampart", "--type=merge", "-p", json.dumps(patch))
    for pod in before:
        site.until(lambda pod=pod: _replaced(site, pod, 1), f"a pod with {uri}")
    site.ready(PREDICTORS)


def test_an_update_to_another_bundle_under_load_costs_no_request(
    service: Site, bundles: dict[str, Path]
) -> None:
    service.copy(bundles["new"], "next")
    ids = [read_manifest(bundles[name]).id[:8] for name in ("old", "new")]
    with service.asking(URL) as found:
        time.sleep(2)
        serve(service, "pvc://rampart-bundles/next")
        time.sleep(2)
    serve(service, "pvc://rampart-bundles/champion")
    assert found["failed"] == []
    assert set(found["bundles"]) == set(ids)
