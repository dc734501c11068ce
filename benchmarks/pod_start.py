"""How long a predictor's pod takes to its first verdict, and on what: `make benchmark-pod-start`.

On the cluster of KUBECONFIG, where an InferenceService serves already (docs/deploy.md): its pod is
deleted, and the one that takes its place is asked, through the API server, until it answers. What
Kubernetes does is timed from outside, what the process does by its own metric.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rollout.cluster import Cluster
from rollout.kinds import POD

_QUESTION = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["You won a prize"]}],
    "outputs": [{"name": "label"}],
}
_PART = re.compile(r'^rampart_start_seconds\{part="(\w+)"\} (\S+)$', re.MULTILINE)
_LIMIT = 5.0
_POLL = 0.02
_ROWS = {
    "scheduled": "until the scheduler has a node",
    "container": "until the process begins: volumes, sandbox, runtime; and 20 ms of asking",
    "imports": "the interpreter and its imports",
    "bundles": "the bundle: hashes checked, models loaded, warmed up",
    "listening": "until both ports listen",
    "verdict": "pod created to first verdict",
    "ready": "pod created to Ready, which the kubelet's probe says",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pod_start", description=__doc__)
    parser.add_argument("--namespace", default="rampart")
    parser.add_argument("--service", default="rampart", help="the InferenceService's name")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(arguments)
    cluster = Cluster.configured(given.namespace)
    selector = f"serving.kserve.io/inferenceservice={given.service},component=predictor"
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(given.rounds):
        for part, seconds in _start(cluster, selector, given.service).items():
            found[part].append(seconds)
    table = Table("seconds", "what", title=f"A predictor's pod, {given.rounds} times")
    for part, what in _ROWS.items():
        table.add_row(_spread(found[part]), what)
    Console(width=110).print(table)
    share = np.median(found["verdict"]) / _LIMIT
    Console(width=110).print(f"The median is {share:.0%} of the {_LIMIT:.0f} s that it may take.")


def _start(cluster: Cluster, selector: str, model: str) -> dict[str, float]:
    [before] = cluster.all(POD, selector)
    gone = before["metadata"]["name"]
    cluster.delete(POD, gone)
    seen: dict[str, float] = {}
    while "verdict" not in seen or "ready" not in seen:
        pods = [pod for pod in cluster.all(POD, selector) if pod["metadata"]["name"] != gone]
        if pods:
            _look(cluster, pods[0], model, seen)
        time.sleep(_POLL)
    created = seen.pop("created")
    steps = {part: at - created for part, at in seen.items()}
    parts = _parts(cluster, pods[0]["metadata"]["name"])
    # The API says only later that a container runs: what is left is until it did.
    steps["container"] = steps["verdict"] - steps["scheduled"] - sum(parts.values())
    # The old pod has left before the next round counts pods.
    while len(cluster.all(POD, selector)) > 1:
        time.sleep(0.5)
    return steps | parts


def _look(cluster: Cluster, pod: dict[str, Any], model: str, seen: dict[str, float]) -> None:
    """Note the time of what has happened since the last look."""
    now = time.monotonic()
    seen.setdefault("created", now)
    status = pod.get("status", {})
    true = {one["type"] for one in status.get("conditions", ()) if one["status"] == "True"}
    if "PodScheduled" in true:
        seen.setdefault("scheduled", now)
    if "Ready" in true:
        seen.setdefault("ready", now)
    [container] = status.get("containerStatuses") or [{}]
    if "running" not in container.get("state", {}):
        return
    if "verdict" not in seen:
        path = f"v2/models/{model}/infer"
        if _proxied(cluster, pod["metadata"]["name"], path, "POST", _QUESTION) is not None:
            seen["verdict"] = time.monotonic()


def _parts(cluster: Cluster, pod: str) -> dict[str, float]:
    text = _proxied(cluster, pod, "metrics", "GET")
    return {part: float(seconds) for part, seconds in _PART.findall(text or "")}


def _proxied(cluster: Cluster, pod: str, path: str, method: str, body: object = None) -> str | None:
    """What the pod answers, by way of the API server; None where it does not yet."""
    from kubernetes.client.exceptions import ApiException

    place = f"/api/v1/namespaces/{cluster.namespace}/pods/http:{pod}:8080/proxy/{path}"
    try:
        answer = cluster.client.call_api(
            place,
            method,
            header_params={"Content-Type": "application/json", "Accept": "*/*"},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=10,
        )
    except ApiException:
        return None
    return bytes(answer.data).decode()


def _spread(values: Sequence[float]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
