"""A stand-in for KServe, its router, Knative and a Gateway where none of them can run.

It writes the status that they would write, on a real API server, and nothing else: in Standard
mode a pod for each InferenceService and for each graph (without a node to run on), in Knative mode
the revisions' names and the traffic, for a route that it is accepted. `way` says what becomes of
the pods of a bundle.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from rampart.errors import RolloutError
from rollout.cluster import Cluster
from rollout.kinds import GRAPH, INFERENCE_SERVICE, POD, ROUTE, Kind

_MODE = "serving.kserve.io/deploymentMode"
_START_SECONDS = 1.0
READY, NEVER, CRASH = "ready", "never", "crash"


class StandIn(threading.Thread):
    """Runs until `stop`.

    Args:
        cluster: a namespace.
        way: what becomes of the pods of a storage URI: ready, never or crash.

    Attributes:
        created: Knative's revisions, each with the storage URI that it was made of.
    """

    def __init__(self, cluster: Cluster, way: Callable[[str], str]) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        self.way = way
        self.asked = threading.Event()
        self.wrong: list[str] = []
        self.begun: dict[str, float] = {}
        self.created: dict[str, str] = {}

    def stop(self) -> None:
        self.asked.set()
        self.join()

    def run(self) -> None:
        while not self.asked.wait(0.1):
            try:
                for service in self.all(INFERENCE_SERVICE):
                    mode = service["metadata"].get("annotations", {}).get(_MODE)
                    (self.knative if mode == "Knative" else self.standard)(service)
                for graph in self.all(GRAPH):
                    self.graph(graph)
                for route in self.all(ROUTE):
                    self.route(route)
            except RolloutError as error:
                self.wrong.append(str(error))

    def all(self, kind: Kind) -> list[dict[str, Any]]:
        return self.cluster.all(kind, "")

    def standard(self, service: dict[str, Any]) -> None:
        name, model = service["metadata"]["name"], service["spec"]["predictor"]["model"]
        way = self.way(model["storageUri"])
        self.pod(f"{name}-predictor", {"serving.kserve.io/inferenceservice": name}, way, [])
        ready = "True" if way == READY else "False"
        self.status(
            INFERENCE_SERVICE,
            service,
            {"conditions": [{"type": "Ready", "status": ready, "message": f"pods are {way}"}]},
        )

    def graph(self, graph: dict[str, Any]) -> None:
        name, told = graph["metadata"]["name"], json.dumps(graph["spec"])
        labels = {"serving.kserve.io/inferencegraph": name}
        number = graph["metadata"]["generation"]
        # A router's pod is not ready at once, and the one before it answers until then.
        begun = self.begun.setdefault(f"{name}-{number}", time.monotonic())
        if number > 1 and time.monotonic() < begun + _START_SECONDS:
            return
        self.pod(f"{name}-router-{number}", labels, READY, ["--graph-json", told])
        for pod in self.cluster.all(POD, f"serving.kserve.io/inferencegraph={name}"):
            if pod["spec"]["containers"][0]["args"] != ["--graph-json", told]:
                self.remove(pod["metadata"]["name"])
        self.status(GRAPH, graph, {})

    def route(self, route: dict[str, Any]) -> None:
        at = route["metadata"]["generation"]
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "observedGeneration": at,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        [parent] = route["spec"]["parentRefs"]
        named = {"name": parent["name"], "namespace": parent["namespace"]}
        said = {
            "parentRef": named,
            "controllerName": "example.com/gateway",
            "conditions": conditions,
        }
        known = route.get("status", {}).get("parents", [{}])
        if not known or known[0].get("conditions", [{}])[0].get("observedGeneration") != at:
            path = ROUTE.path(self.cluster.namespace, route["metadata"]["name"]) + "/status"
            self.call("PATCH", path, {"status": {"parents": [said]}})

    def knative(self, service: dict[str, Any]) -> None:
        status, predictor = service.get("status", {}), service["spec"]["predictor"]
        part = status.get("components", {}).get("predictor", {})
        uri, name = predictor["model"]["storageUri"], service["metadata"]["name"]
        urls = {
            "url": f"http://{name}-predictor.example.com",
            "latest": f"http://latest-{name}-predictor.example.com",
            "prev": f"http://prev-{name}-predictor.example.com",
        }
        created, number = part.get("latestCreatedRevision", ""), 0
        if created:
            number = int(created.rsplit("-", 1)[1])
        known = service["metadata"].get("annotations", {}).get("test/created-from", "")
        if uri != known:
            created = f"{name}-predictor-{number + 1:05d}"
            self.created[created] = uri
            self.note(service, uri)
        self.write_knative(service, created, part, urls)

    def write_knative(
        self,
        service: dict[str, Any],
        created: str,
        part: dict[str, Any],
        urls: dict[str, str],
    ) -> None:
        predictor = service["spec"]["predictor"]
        way = self.way(predictor["model"]["storageUri"])
        ready = created if way == READY else part.get("latestReadyRevision", "")
        percent = predictor.get("canaryTrafficPercent")
        rolled = part.get("latestRolledoutRevision", "")
        if way == READY and (percent in (None, 100) or not rolled):
            rolled = created
        if rolled == ready or not rolled:
            traffic = [{"revisionName": ready, "latestRevision": True, "percent": 100}]
            traffic[0] |= {"tag": "latest", "url": urls["latest"]}
        else:
            share = int(percent or 0)
            traffic = [
                {"revisionName": ready, "latestRevision": True, "percent": share, "tag": "latest",
                 "url": urls["latest"]},
                {"revisionName": rolled, "percent": 100 - share, "tag": "prev",
                 "url": urls["prev"]},
            ]  # fmt: skip
        conditions = [{"type": "Ready", "status": "True"}]
        if way == CRASH:
            self.pod(f"{created}-pod", {"serving.knative.dev/revision": created}, CRASH, [])
        found = {
            "latestCreatedRevision": created,
            "latestReadyRevision": ready,
            "latestRolledoutRevision": rolled,
            "traffic": traffic if ready else [],
            "url": urls["url"],
        }
        self.status(
            INFERENCE_SERVICE,
            service,
            {"conditions": conditions, "components": {"predictor": found}},
        )

    def note(self, service: dict[str, Any], uri: str) -> None:
        patch = {"metadata": {"annotations": {"test/created-from": uri}}}
        path = INFERENCE_SERVICE.path(self.cluster.namespace, service["metadata"]["name"])
        self.call("PATCH", path, patch)

    def status(self, kind: Kind, document: dict[str, Any], status: dict[str, Any]) -> None:
        whole = status | {"observedGeneration": document["metadata"]["generation"]}
        known = document.get("status", {})
        if all(known.get(key) == value for key, value in whole.items()):
            return
        path = kind.path(self.cluster.namespace, document["metadata"]["name"]) + "/status"
        self.call("PATCH", path, {"status": whole})

    def pod(self, name: str, labels: dict[str, str], way: str, args: list[str]) -> None:
        if self.cluster.get(POD, name) is None:
            container = {
                "name": "kserve-container",
                "image": "none",
                "args": args,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "runAsNonRoot": True,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
            self.cluster.create(
                POD,
                {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}},
            )
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off"} if way == CRASH else {}
        ready = "True" if way == READY else "False"
        state: dict[str, Any] = {"waiting": waiting} if waiting else {"running": {}}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [
                {
                    "name": "kserve-container",
                    "image": "none",
                    "imageID": "",
                    "ready": way == READY,
                    "restartCount": 5 if way == CRASH else 0,
                    "state": state,
                    "lastState": {"terminated": {"exitCode": 7}} if way == CRASH else {},
                }
            ],
        }
        path = POD.path(self.cluster.namespace, name) + "/status"
        self.call("PATCH", path, {"status": status})

    def remove(self, name: str) -> None:
        path = POD.path(self.cluster.namespace, name)
        self.call("DELETE", path, {"gracePeriodSeconds": 0})

    def call(self, method: str, path: str, body: dict[str, Any]) -> None:
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self.cluster.client.call_api(
            path,
            method,
            header_params={"Content-Type": content, "Accept": "application/json"},
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
        )
