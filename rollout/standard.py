"""Standard mode: an InferenceService for each revision, and a graph or a route that splits.

KServe's own canary in this mode shares replicas and splits no traffic (`canaryTrafficPercent` is
read in Knative mode alone). Revisions that are InferenceServices of their own have a second merit:
to go back touches no pod of the one that serves.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rollout.kinds import GRAPH, INFERENCE_SERVICE, POD, ROUTE
from rollout.target import BUNDLE, ROLLOUT, Address, Condition, Target

_MODE = "serving.kserve.io/deploymentMode"
_SCALER = "serving.kserve.io/autoscalerClass"
_OF_SERVICE = "serving.kserve.io/inferenceservice"
_NEVER = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
_PERHAPS = frozenset({"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull"})


class StandardTarget(Target):
    """Revisions as InferenceServices; who splits is a subclass's matter."""

    def prepare(self) -> None:
        """Apply the revision's InferenceService."""
        self.cluster.apply(INFERENCE_SERVICE, self._service())

    def condition(self) -> Condition:
        """By KServe's word, and by each pod's own."""
        name = self._named(self.plan.revision)
        service = self.cluster.get(INFERENCE_SERVICE, name)
        if service is None:
            return Condition(ready=False, failed=f"{name} has been deleted")
        pods = self.cluster.all(POD, f"{_OF_SERVICE}={name}")
        if (why := broken(pods, self.plan.checks.restarts)) is not None:
            return Condition(ready=False, failed=why)
        status = service.get("status", {})
        failure = status.get("modelStatus", {}).get("lastFailureInfo", {})
        if failure.get("reason") in {"NoSupportingRuntime", "InvalidPredictorSpec"}:
            return Condition(ready=False, failed=str(failure.get("message") or failure["reason"]))
        # Its observedGeneration is its Deployment's, and says nothing of what was applied.
        ready = _condition(status, "Ready")
        if ready.get("status") != "True":
            said = ready.get("message") or ready.get("reason") or "KServe has not said Ready"
            return Condition(ready=False, waiting=said)
        waiting = unready(pods)
        return Condition(ready=waiting is None, waiting=waiting or "")

    def address(self, revision: str | None) -> Address:
        """A revision's own Service, or what splits."""
        if revision is None:
            return self.public()
        return Address(f"{self._named(revision)}-predictor", self._path)

    def shift(self, percent: int) -> None:
        """Write the weights."""
        stable, candidate = self.record.stable, self.plan.revision
        if stable in ("", candidate):
            self._write({candidate: 100})
        else:
            self._write({stable: 100 - percent, candidate: percent})

    def finish(self) -> None:
        """Nothing: the last shift gave it all."""

    def withdraw(self) -> None:
        """All weight to the stable revision."""
        stable = self.record.stable
        if stable:
            self._write({stable: 100})
        elif self.live() is not None:
            self.cluster.delete(self.kind, self.plan.name)

    def drop(self, revision: str) -> None:
        """Delete the revision's InferenceService, unless it is the stable one."""
        if revision != self.record.stable:
            self.cluster.delete(INFERENCE_SERVICE, self._named(revision))

    def tidy(self) -> None:
        """Delete the InferenceServices of older revisions."""
        record = self.record
        kept = {self._named(name) for name in (record.stable, record.previous) if name}
        for service in self.cluster.all(INFERENCE_SERVICE, f"{ROLLOUT}={self.plan.name}"):
            if service["metadata"]["name"] not in kept:
                self.cluster.delete(INFERENCE_SERVICE, service["metadata"]["name"])

    @abstractmethod
    def public(self) -> Address:
        """Where clients ask."""

    @abstractmethod
    def split(self, shares: Mapping[str, int]) -> dict[str, Any]:
        """The `spec` that gives each revision its share."""

    @property
    def _path(self) -> str:
        return f"/v2/models/{self.plan.name}/infer"

    def _named(self, revision: str) -> str:
        return f"{self.plan.name}-{revision}"

    def _write(self, shares: Mapping[str, int]) -> None:
        self.live()  # ours, or not there
        labels = {"app.kubernetes.io/part-of": "rampart", ROLLOUT: self.plan.name}
        # Without them a Deployment for the router would be Knative's, or have an autoscaler.
        noted = {_MODE: "Standard", _SCALER: "none"}
        metadata = {"name": self.plan.name, "labels": labels, "annotations": noted}
        self.cluster.apply(self.kind, {"metadata": metadata, "spec": self.split(shares)})

    def _service(self) -> dict[str, Any]:
        plan = self.plan
        name = self._named(plan.revision)
        user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
        predictor: dict[str, Any] = {
            "minReplicas": plan.replicas,
            "maxReplicas": max(plan.replicas, plan.max_replicas),
            "serviceAccountName": plan.service_account,
            "automountServiceAccountToken": False,
            **plan.fetched_by,
            "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 45,
            "deploymentStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {_OF_SERVICE: name}},
                }
            ],
            "model": {
                "modelFormat": {"name": "rampart", "version": "1"},
                "protocolVersion": "v2",
                "runtime": plan.served_by,
                "storageUri": plan.storage_uri,
                # Clients know one name, whichever revision answers.
                "args": [f"--model_name={plan.name}"],
            },
        }
        return {
            "metadata": {
                "name": name,
                "labels": {"app.kubernetes.io/part-of": "rampart", ROLLOUT: plan.name},
                "annotations": {_MODE: "Standard", BUNDLE: plan.bundle_id},
            },
            "spec": {"predictor": predictor},
        }


class GraphTarget(StandardTarget):
    """A Splitter in front: KServe's router, a Deployment of the graph's name."""

    kind = GRAPH

    def public(self) -> Address:
        """The graph's own Service; its path is the root."""
        return Address(self.plan.name, "/")

    def shares(self, document: Mapping[str, Any]) -> dict[str, int]:
        """By the steps of the root."""
        root = document["spec"].get("nodes", {}).get("root", {})
        return {step["name"]: int(step.get("weight", 0)) for step in root.get("steps", ())}

    def written(self) -> dict[str, Any]:
        """The router's replicas."""
        spec = (self.live() or {}).get("spec", {})
        return {"replicas": spec["minReplicas"]} if "minReplicas" in spec else {}

    def split(self, shares: Mapping[str, int]) -> dict[str, Any]:
        """One step for each revision that gets something."""
        steps = [
            {
                "name": revision,
                "serviceUrl": f"http://{self._named(revision)}-predictor.{self.plan.namespace}"
                f"{self._path}",
                "weight": share,
            }
            for revision, share in shares.items()
            if share
        ]
        return {
            "nodes": {"root": {"routerType": "Splitter", "steps": steps}},
            "minReplicas": self.plan.replicas,
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"},
            },
        }

    def settled(self) -> Condition:
        """By the router's pods: all started with these weights, and all ready."""
        graph = self.live()
        if graph is None:
            nobody = not self.record.stable
            why = None if nobody else f"the graph {self.plan.name} has been deleted"
            return Condition(ready=nobody, failed=why)
        pods = self.cluster.all(POD, f"serving.kserve.io/inferencegraph={self.plan.name}")
        if (why := broken(pods, restarts=3)) is not None:
            return Condition(ready=False, failed=f"the graph's router: {why}")
        wanted = self.shares(graph)
        if any(self.shares({"spec": told(pod)}) != wanted for pod in pods):
            return Condition(ready=False, waiting="the router before it still answers")
        waiting = unready(pods)
        return Condition(ready=waiting is None, waiting=waiting or "")


class RouteTarget(StandardTarget):
    """An HTTPRoute in front: the Gateway splits, and no pod starts for it."""

    kind = ROUTE

    def public(self) -> Address:
        """The Gateway's own Service, asked by the route's host name."""
        namespace, _, name = self.plan.gateway.partition("/")
        return Address(f"{name}.{namespace}", self._path, self.plan.hostname)

    def shares(self, document: Mapping[str, Any]) -> dict[str, int]:
        """By the backends of the one rule."""
        backends = document["spec"]["rules"][0].get("backendRefs", ())
        cut = len(self.plan.name) + 1
        return {
            backend["name"].removesuffix("-predictor")[cut:]: int(backend.get("weight", 1))
            for backend in backends
        }

    def written(self) -> dict[str, Any]:
        """The Gateway and the host name."""
        spec = (self.live() or {}).get("spec", {})
        found: dict[str, Any] = {}
        for parent in spec.get("parentRefs", ())[:1]:
            found["gateway"] = f"{parent.get('namespace', self.plan.namespace)}/{parent['name']}"
        for host in spec.get("hostnames", ())[:1]:
            found["hostname"] = host
        return found

    def split(self, shares: Mapping[str, int]) -> dict[str, Any]:
        """One backend for each revision."""
        namespace, _, name = self.plan.gateway.partition("/")
        backends = [
            {"name": f"{self._named(revision)}-predictor", "port": 80, "weight": share}
            for revision, share in shares.items()
        ]
        match = {"path": {"type": "PathPrefix", "value": f"/v2/models/{self.plan.name}"}}
        return {
            "parentRefs": [{"name": name, "namespace": namespace}],
            **({"hostnames": [self.plan.hostname]} if self.plan.hostname else {}),
            "rules": [{"matches": [match], "backendRefs": backends}],
        }

    def settled(self) -> Condition:
        """By the Gateway's word on this generation: accepted, and its backends found."""
        route = self.live()
        if route is None:
            nobody = not self.record.stable
            why = None if nobody else f"the route {self.plan.name} has been deleted"
            return Condition(ready=nobody, failed=why)
        namespace, _, name = self.plan.gateway.partition("/")
        generation = route["metadata"]["generation"]
        for parent in route.get("status", {}).get("parents", ()):
            at = parent.get("parentRef", {})
            if (at.get("name"), at.get("namespace", self.plan.namespace)) != (name, namespace):
                continue
            current = {
                one["type"]: one
                for one in parent.get("conditions", ())
                if one.get("observedGeneration", 0) >= generation
            }
            if not {"Accepted", "ResolvedRefs"} <= set(current):
                continue
            for one in current.values():
                if one["type"] in {"Accepted", "ResolvedRefs"} and one["status"] != "True":
                    said = one.get("message") or one.get("reason")
                    return Condition(ready=False, failed=f"{one['type']}: {said}")
            return Condition(ready=True)
        return Condition(ready=False, waiting="the Gateway has not accepted the route yet")


def broken(pods: Sequence[Mapping[str, Any]], restarts: int) -> str | None:
    """Why pods will never be ready; None where they may."""
    for pod in pods:
        status = pod.get("status", {})
        for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            waiting = one.get("state", {}).get("waiting", {})
            reason = waiting.get("reason")
            often = one.get("restartCount", 0) >= restarts
            if reason in _NEVER or (reason in _PERHAPS and (often or "Image" in str(reason))):
                last = one.get("lastState", {}).get("terminated", {})
                said = last.get("message") or waiting.get("message") or ""
                code = f", exit code {last['exitCode']}" if "exitCode" in last else ""
                return (
                    f"{one['name']} in {pod['metadata']['name']}: {reason}{code} after "
                    f"{one.get('restartCount', 0)} restarts. {said}".strip()
                )
    return None


def unready(pods: Sequence[Mapping[str, Any]]) -> str | None:
    """The first pod that is not ready, or that there are none; None where all are."""
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    if not alive:
        return "there is no pod yet"
    for pod in alive:
        if _condition(pod.get("status", {}), "Ready").get("status") != "True":
            return f"{pod['metadata']['name']} is not ready"
    return None


def told(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The graph that a router's pod was started with; empty where it says none."""
    for container in pod["spec"]["containers"]:
        for argument in (*container.get("command", ()), *container.get("args", ())):
            try:
                document = json.loads(argument)
            except ValueError:
                continue
            if isinstance(document, dict) and "nodes" in document:
                return document
    return {}


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        (one for one in status.get("conditions", ()) if one.get("type") == kind), {}
    )
    return found
