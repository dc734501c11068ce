"""What a rollout is told: plans, examples, and where a pod or a router stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rampart.errors import InputError, RolloutError
from rollout.cluster import own_namespace
from rollout.examples import read_examples
from rollout.kinds import INFERENCE_SERVICE, POD
from rollout.plan import Plan, planned
from rollout.standard import broken, told, unready

GIVEN: dict[str, Any] = {
    "name": "mail",
    "namespace": "team",
    "storage_uri": "s3://bucket/bundle",
    "bundle_id": "ab" * 32,
}


def test_a_revision_is_named_by_its_bundle_and_steps_may_be_written_as_one_text() -> None:
    plan = planned(**GIVEN, steps="10,100")
    assert (plan.revision, plan.steps) == ("abababab", (10, 100))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", "5,25"),
        ("steps", "50,25,100"),
        ("steps", "0,100"),
        ("steps", "half,100"),
        ("steps", ""),
        ("name", "Mail"),
        ("name", "m" * 40),
        ("namespace", "a/b"),
        ("storage_uri", "/folder"),
        ("bundle_id", "ab"),
        ("mode", "ingress"),
        ("replicas", 0),
    ],
)
def test_what_cannot_be_rolled_out_is_said_before_anything_is_written(
    field: str, value: object
) -> None:
    with pytest.raises(InputError, match=field):
        planned(**GIVEN | {field: value})


def test_a_plan_is_not_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Plan(**GIVEN).name = "other"  # type: ignore[misc]


def test_rampart_brings_examples_of_both_kinds() -> None:
    found = read_examples()
    assert len(found) >= 12
    assert {example.threat for example in found} == {True, False}


@pytest.mark.parametrize(
    "content",
    ["", "{}", "not json", '{"text": "a", "threat": "yes"}', '{"text": "a", "threat": true}'],
)
def test_a_file_without_examples_of_both_kinds_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(content + "\n")
    with pytest.raises(InputError):
        read_examples(path)


def test_outside_of_a_pod_there_is_no_namespace(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="namespace"):
        own_namespace()


def test_resources_lie_where_the_api_server_has_them() -> None:
    assert POD.path("team", "a") == "/api/v1/namespaces/team/pods/a"
    assert (
        INFERENCE_SERVICE.path("team")
        == "/apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices"
    )


def _pod(**status: Any) -> dict[str, Any]:
    container = {"name": "server", "restartCount": 0} | status
    return {"metadata": {"name": "pod"}, "status": {"containerStatuses": [container]}}


@pytest.mark.parametrize(
    ("reason", "restarts", "never"),
    [
        ("ErrImageNeverPull", 0, True),
        ("ImagePullBackOff", 0, True),
        ("CreateContainerConfigError", 0, True),
        ("CrashLoopBackOff", 1, False),
        ("CrashLoopBackOff", 3, True),
        ("ContainerCreating", 9, False),
        ("PodInitializing", 0, False),
    ],
)
def test_pods_that_never_will_be_ready_are_told_from_those_that_may(
    reason: str, restarts: int, never: bool
) -> None:
    pod = _pod(restartCount=restarts, state={"waiting": {"reason": reason, "message": "why"}})
    found = broken([pod], restarts=3)
    assert (found is not None) == never
    assert found is None or ("server in pod" in found and reason in found and "why" in found)


def test_an_initializer_that_fails_is_a_pod_that_never_will_be_ready() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 1, "message": "no such bundle"}}
    status = {"name": "storage-initializer", "restartCount": 4, "state": waiting, "lastState": last}
    pod = {"metadata": {"name": "pod"}, "status": {"initContainerStatuses": [status]}}
    assert "exit code 1" in str(broken([pod], restarts=3))
    assert "no such bundle" in str(broken([pod], restarts=3))


def test_pods_on_their_way_out_do_not_count() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    there = {"metadata": {"name": "new"}, "status": ready}
    leaving = {"metadata": {"name": "old", "deletionTimestamp": "now"}, "status": {}}
    assert unready([there, leaving]) is None
    assert unready([leaving]) == "there is no pod yet"
    assert "not ready" in str(unready([there, {"metadata": {"name": "slow"}, "status": {}}]))


def test_a_router_says_which_graph_it_was_started_with() -> None:
    graph = {"nodes": {"root": {"routerType": "Splitter", "steps": []}}}
    container = {"args": ["--graph-json", json.dumps(graph), "--flag", "{}"]}
    assert told({"spec": {"containers": [container]}}) == graph
    assert told({"spec": {"containers": [{"args": ["--other"]}]}}) == {}
