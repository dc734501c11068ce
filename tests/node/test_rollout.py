"""A rollout under the real KServe: whatever goes wrong, the last good revision keeps its traffic.

A client in a pod never stops asking, through the graph's real router, and every answer is counted.
What Knative and a Gateway do cannot be had on such a node: tests/cluster has stand-ins for them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rampart.bundle.store import read_manifest
from rampart.errors import RolloutError
from rollout.asking import ThroughServer
from rollout.checks import golden
from rollout.cluster import Cluster
from rollout.examples import read_examples
from rollout.lease import held
from rollout.plan import Checks, Plan
from rollout.run import Outcome, roll_out, target_of
from tests.node.site import Site

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]
NAME = "mail"
CHECKS = Checks(ready_seconds=120, watch_seconds=3, slower=3, slower_by=400)


class Stage:
    """Rollouts of one name in the namespace, by the graph that KServe makes a router of."""

    def __init__(self, site: Site, bundles: dict[str, Path]) -> None:
        self.site, self.bundles = site, bundles
        self.cluster = Cluster.configured(site.namespace)
        self.told: list[str] = []
        for name, bundle in bundles.items():
            site.copy(bundle, name)

    def revision(self, name: str) -> str:
        return read_manifest(self.bundles[name]).id[:8]

    def plan(self, name: str, **changed: Any) -> Plan:
        given = {
            "name": NAME,
            "namespace": self.site.namespace,
            "storage_uri": f"pvc://rampart-bundles/{name}",
            "bundle_id": read_manifest(self.bundles[name]).id,
            "mode": "graph",
            "steps": (25, 100),
            "max_replicas": 1,
            "checks": CHECKS,
        }
        return Plan.model_validate(given | changed)

    def roll(self, name: str, *, run: str = "test", **changed: Any) -> Outcome:
        expected = golden(self.bundles[name], read_examples())
        way = ThroughServer(self.cluster.client, self.site.namespace)
        return roll_out(
            self.plan(name, **changed), expected, self.cluster, way, run=run, tell=self.told.append
        )

    @property
    def state(self) -> tuple[str | None, str | None]:
        found = target_of(NAME, "graph", self.cluster).state()
        return found.stable, found.candidate


@pytest.fixture(scope="module")
def stage(site: Site, bundles: dict[str, Path]) -> Iterator[Stage]:
    found = Stage(site, bundles)
    found.roll("old")
    yield found
    site("delete", "inferencegraph,inferenceservice", "-l", f"rampart.io/rollout={NAME}")


URL = f"http://{NAME}/v2/models/{NAME}/infer"


@pytest.fixture
def old(stage: Stage) -> Iterator[Stage]:
    """The first bundle serves, whatever a test before has left."""
    if stage.state != (stage.revision("old"), None):
        stage.roll("old", steps=(100,))
    stage.told.clear()
    return stage


def reasons(stage: Stage) -> list[str]:
    return [f"{event['reason']}: {event['message']}" for event in stage.site.get("events")]


def test_a_good_bundle_gets_all_traffic_and_no_request_is_lost(old: Stage) -> None:
    with old.site.asking(URL) as found:
        done = old.roll("new")
        time.sleep(2)
    assert (done.revision, done.replaced) == (old.revision("new"), old.revision("old"))
    assert found["failed"] == []
    assert set(found["bundles"]) == {old.revision("old"), old.revision("new")}
    assert any(line.startswith("RolledOut") for line in reasons(old))


def test_what_serves_already_is_left_alone(old: Stage) -> None:
    assert not old.roll("old").changed


def test_a_bundle_that_is_not_there_gets_no_traffic(old: Stage) -> None:
    old.site("exec", "rampart-bundles", "--", "mkdir", "-p", "/bundles/nothing")
    with old.site.asking(URL) as found, pytest.raises(RolloutError, match="exit code"):
        old.roll("newer", storage_uri="pvc://rampart-bundles/nothing")
    assert found["failed"] == []
    assert set(found["bundles"]) == {old.revision("old")}
    assert old.state == (old.revision("old"), None)
    assert any("RolledBack" in line and "exit code" in line for line in reasons(old))


def test_pods_that_no_node_has_room_for_get_no_traffic(old: Stage) -> None:
    """The claim of another runtime is more than the node has, so that its pods stay pending."""
    [runtime] = old.site.manifest("manifests/serving/serving-runtime.yaml")
    runtime["metadata"]["name"] = "huge"
    runtime["spec"]["supportedModelFormats"][0]["autoSelect"] = False
    runtime["spec"]["containers"][0]["resources"]["requests"]["memory"] = "900Gi"
    del runtime["spec"]["containers"][0]["resources"]["limits"]
    old.site.apply(runtime)
    with (
        old.site.asking(URL) as found,
        pytest.raises(RolloutError, match="not enough to be ready"),
    ):
        old.roll("newer", runtime="huge", checks=CHECKS.model_copy(update={"ready_seconds": 10}))
    assert found["failed"] == []
    assert set(found["bundles"]) == {old.revision("old")}
    assert old.state == (old.revision("old"), None)


def test_another_bundle_than_the_one_here_gets_no_traffic(old: Stage) -> None:
    with old.site.asking(URL) as found, pytest.raises(RolloutError, match="serves the bundle"):
        old.roll("newer", storage_uri="pvc://rampart-bundles/new")
    assert found["failed"] == []
    assert set(found["bundles"]) == {old.revision("old")}
    assert old.state == (old.revision("old"), None)


def test_a_bundle_with_wrong_verdicts_goes_back_at_the_first_share(old: Stage) -> None:
    with old.site.asking(URL) as found, pytest.raises(RolloutError, match="examples wrong"):
        old.roll("blind")
    assert found["failed"] == []
    assert old.state == (old.revision("old"), None)


def test_a_bundle_that_is_slow_goes_back(old: Stage) -> None:
    """Its runtime has a fortieth of a core, by the kubelet's own limits."""
    [runtime] = old.site.manifest("manifests/serving/serving-runtime.yaml")
    runtime["metadata"]["name"] = "slow"
    runtime["spec"]["supportedModelFormats"][0]["autoSelect"] = False
    [container] = runtime["spec"]["containers"]
    container["resources"]["requests"]["cpu"] = "50m"
    container["resources"]["limits"]["cpu"] = "150m"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container[probe]["timeoutSeconds"] = 20
        container[probe]["failureThreshold"] = 120
    old.site.apply(runtime)
    checks = CHECKS.model_copy(update={"slower": 1.5, "slower_by": 30, "failures": 1000})
    with old.site.asking(URL) as found, pytest.raises(RolloutError, match="95th percentile"):
        old.roll("newer", runtime="slow", checks=checks)
    assert found["failed"] == []
    assert old.state == (old.revision("old"), None)


def test_only_one_rollout_of_a_name_runs(old: Stage) -> None:
    with (
        old.site.asking(URL) as found,
        held(old.cluster, NAME, "the other"),
        pytest.raises(RolloutError, match="under way: the other"),
    ):
        old.roll("new")
    assert found["failed"] == []
    assert set(found["bundles"]) == {old.revision("old")}


def _started(stage: Stage, name: str, *more: str) -> subprocess.Popen[str]:
    """`rampart rollout start` in a process of its own."""
    words = [
        "rollout", "start", str(stage.bundles[name]), "--name", NAME,
        "--storage-uri", f"pvc://rampart-bundles/{name}", "--namespace", stage.site.namespace,
        "--steps", "25,100", "--watch-seconds", "20", *more,
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "rampart.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _until_it_says(process: subprocess.Popen[str], what: str) -> None:
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if what in line:
            return
    raise AssertionError("".join(told))


@pytest.mark.parametrize("again", ["new", "newer"])
def test_a_rollout_that_was_killed_goes_on_or_makes_room(old: Stage, again: str) -> None:
    with old.site.asking(URL) as found:
        with _started(old, "new") as process:
            _until_it_says(process, "25 %")
            time.sleep(3)
            process.kill()
            process.wait()
        assert old.state == (old.revision("old"), old.revision("new"))
        assert old.roll(again, run="the next").revision == old.revision(again)
    assert found["failed"] == []
    assert old.state == (old.revision(again), None)


def test_an_api_server_that_starts_again_is_waited_for(
    old: Stage, restart: Callable[[], None]
) -> None:
    with old.site.asking(URL) as found:
        with _started(old, "new") as process:
            _until_it_says(process, "25 %")
            restart()
            assert process.stdout is not None
            told = process.stdout.read()
            assert process.wait() == 0, told
        assert old.state == (old.revision("new"), None)
    assert found["failed"] == []
