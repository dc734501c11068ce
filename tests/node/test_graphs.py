"""The project's InferenceGraphs, behind KServe's own router: one answer of several servers'."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rampart.bundle.store import read_manifest
from rampart.inference.engine import Engine
from tests.integration.serving.conftest import question
from tests.node.site import Site, condition
from tests.node.test_serving import ask

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
SPAM, HAM = "Win a free prize today\n\nClick here to claim", "Lunch at noon, if the rain stops"


@pytest.fixture(scope="module")
def two(site: Site, bundle: Path, other_bundle: Path) -> Iterator[dict[str, Path]]:
    """Two InferenceServices of two bundles, by the names that the graph of an ensemble has."""
    found = {"rampart-champion": bundle, "rampart-challenger": other_bundle}
    for name, own in found.items():
        site.copy(own, name)
        site.predictor(name, f"pvc://rampart-bundles/{name}")
    for name in found:
        site.serving(name)
    yield found
    site("delete", "inferenceservice", *found, "--wait=false")


Apply = Callable[..., str]


@pytest.fixture
def graph(site: Site) -> Iterator[Apply]:
    """Applies one of the project's graphs, whose steps may be other services; gives its address."""
    applied = []

    def apply(path: str, **services: str) -> str:
        [document] = site.manifest(f"manifests/graphs/{path}.yaml")
        name = document["metadata"]["name"]
        for node in document["spec"]["nodes"].values():
            for step in node["steps"]:
                if step.get("serviceName") in services:
                    step["serviceName"] = services[step["serviceName"]]
        site.apply(document)
        applied.append(name)
        site.until(lambda: condition(site.get("inferencegraph", name), "Ready") == "True", name)
        site.ready(f"serving.kserve.io/inferencegraph={name}")
        return f"http://{name}"

    yield apply
    site("delete", "inferencegraph", *applied, "--wait=false")


def _columns(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["status"] == 200, answer
    return {one["name"]: one["data"] for one in answer["body"]["outputs"]}


def test_an_ensemble_of_two_and_the_aggregator_give_one_answer(
    site: Site, two: dict[str, Path], graph: Apply
) -> None:
    site.apply(*site.manifest("manifests/graphs/aggregator.yaml"))
    site.ready("app.kubernetes.io/name=rampart-aggregator")
    found = _columns(ask(site, graph("ensemble"), question([SPAM, HAM])))
    champion, challenger = (
        np.array([one.logit for one in Engine.load(path, threads=1).score([SPAM, HAM])])
        for path in two.values()
    )
    np.testing.assert_allclose(found["logit"], (2 * champion + challenger) / 3, atol=0.02)
    assert found["label"] == ["spam", "ham"]
    site("delete", "-f", "-", input=site.manifest("manifests/graphs/aggregator.yaml"))


def test_a_switch_asks_the_model_of_the_domain(
    site: Site, two: dict[str, Path], graph: Apply
) -> None:
    names = dict(zip(["rampart-mail", "rampart-prompts"], two, strict=True))
    url = graph("switch", **names)
    for domain, bundle in zip(["mail", "prompts"], two.values(), strict=True):
        answer = ask(site, url, question([SPAM], parameters={"domain": domain}))
        assert answer["status"] == 200, answer
        assert answer["body"]["parameters"]["bundle"] == read_manifest(bundle).id


def test_a_sequence_asks_twice_of_what_looks_like_a_threat(
    site: Site, two: dict[str, Path], graph: Apply
) -> None:
    screen, confirm = two
    url = graph("sequence", **{"rampart-screen": screen, "rampart-confirm": confirm})
    for text, name in ((SPAM, confirm), (HAM, screen)):
        answer = ask(site, url, question([text]))
        assert answer["status"] == 200, json.dumps(answer)
        assert answer["body"]["parameters"]["bundle"] == read_manifest(two[name]).id
