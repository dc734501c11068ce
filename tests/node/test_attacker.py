"""Somebody who runs code in a pod of ours gets nowhere; the same attempts succeed in a lax one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from tests.node.site import CLIENT, Site

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]


@pytest.mark.parametrize("component", ["predictor", "transformer", "explainer"])
def test_an_attacker_in_a_server_gets_nowhere(service: Site, component: str) -> None:
    selector = f"serving.kserve.io/inferenceservice=rampart,component={component}"
    [pod] = service.ready(selector)
    token = service("create", "token", pod["spec"]["serviceAccountName"]).stdout.strip()
    found = service.python("attack.py", service.namespace, token, pod=pod["metadata"]["name"])
    done = [attempt for attempt, came in found.items() if not came.startswith("refused")]
    assert not done, json.dumps(found)
    assert ("change the bundle" in found) == (component == "predictor")


@pytest.fixture
def lax(site: Site) -> Iterator[str]:
    """A namespace that restricts nothing."""
    name = f"rampart-test-{secrets.token_hex(4)}"
    site.kubectl("create", "namespace", name)
    site.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin",
                 f"--serviceaccount={name}:default")  # fmt: skip
    yield name
    site.kubectl("delete", "clusterrolebinding", name)
    site.kubectl("delete", "namespace", name, "--wait=false")


def test_the_attempts_succeed_where_nothing_is_restricted(site: Site, lax: str) -> None:
    image = site.manifest("manifests/bundles/bundles-pod.yaml")[0]["spec"]["containers"][0]["image"]
    container = {
        "name": "lax",
        "image": image,
        "command": ["/opt/venv/bin/python", "-c", "import signal; signal.pause()"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CLIENT},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    there = Site(lax, site.kubectl)
    there.apply(pod)
    there("wait", "--for=condition=Ready", "--timeout=60s", f"pod/{CLIENT}")
    token = there("create", "token", "default").stdout.strip()
    found = there.python("attack.py", lax, token)
    done = {attempt for attempt, came in found.items() if came == "done"}
    # A node that is a container itself may not be able to grant these.
    assert done >= set(found) - {"mount", "a raw socket"}, found


def test_a_pod_that_asks_for_more_is_not_let_in(site: Site) -> None:
    [pod] = site.manifest("manifests/bundles/bundles-pod.yaml")
    pod["metadata"]["name"] = "more"
    for part, value in (
        ("allowPrivilegeEscalation", True),
        ("runAsUser", 0),
        ("capabilities", {"add": ["NET_ADMIN"]}),
        ("seccompProfile", {"type": "Unconfined"}),
    ):
        asked = json.loads(json.dumps(pod))
        asked["spec"]["containers"][0]["securityContext"][part] = value
        if part == "runAsUser":
            asked["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] = False
        if part == "allowPrivilegeEscalation":
            asked["spec"]["containers"][0]["securityContext"]["privileged"] = True
        done = site("create", "-f", "-", input=[asked], check=False)
        assert done.returncode != 0, part
        assert "forbidden" in done.stderr or "denied" in done.stderr, done.stderr
