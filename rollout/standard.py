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

from rollout.cluster import GRAPH, INFERENCE_SERVICE, POD, ROUTE, Kind
from rollout.target import BUNDLE, CANDIDATE, ROLLOUT, STABLE, Address, Condition, State, Target

PREVIOUS = "rampart.io/previous"
_MODE = "serving.kserve.io/deploymentMode"
_SCALER = "serving.kserve.io/autoscalerClass"
_OF_SERVICE = "serving.kserve.io/inferenceservice"
_NEVER = frozenset(
    {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)
_PERHAPS = frozenset({"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull"})


class StandardTarget(Target):
    """Revisions as InferenceServices; who splits is a subclass's matter."""

    kind: Kind

    @property
    def subject(self) -> tuple[Kind, str]:
        """The graph or the route."""
        return self.kind, self.plan.name

    def state(self) -> State:
        """By the annotations and the weights of the graph or the route."""
        known = self.cluster.get(self.kind, self.plan.name)
        if known is None:
            return State(None, None, 0)
        noted = known["metadata"].get("annotations", {})
        stable, candidate = noted.get(STABLE) or None, noted.get(CANDIDATE) or None
        return State(stable, candidate, self.weights(known).get(candidate or "", 0))

    def prepare(self) -> None:
        """Apply the revision's InferenceService."""
        self.cluster.apply(INFERENCE_SERVICE, self._service())

    def condition(self) -> Condition:
        """By KServe's word for the generation that was applied, and by each pod's own."""
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
        if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen it yet")
        ready = _condition(status, "Ready")
        if ready.get("status") != "True":
            said = ready.get("message") or ready.get("reason") or "KServe has not said Ready"
            return Condition(ready=False, waiting=said)
        if (waiting := unready(pods)) is not None:
            return Condition(ready=False, waiting=waiting)
        return Condition(ready=True)

    def address(self, revision: str | None) -> Address:
        """A revision's own Service, or what splits."""
        if revision is None:
            return self.public()
        return Address(f"{self._named(revision)}-predictor", self._path)

    def shift(self, percent: int) -> None:
        """Write the weights."""
        stable = self.state().stable
        candidate = self.plan.revision
        if stable in (None, candidate):
            self._write(stable or "", {candidate: 100}, candidate)
            return
        shares = {str(stable): 100 - percent, candidate: percent}
        self._write(str(stable), shares, candidate)

    def promote(self) -> None:
        """All weight to the revision, which is the stable one from now on."""
        before = self.state().stable
        revision = self.plan.revision
        previous = before if before not in (None, revision) else None
        self._write(revision, {revision: 100}, "", previous=previous)

    def restore(self, candidate: str) -> None:
        """All weight to the stable revision; then the candidate's InferenceService goes."""
        stable = self.state().stable
        if stable is None:
            self.cluster.delete(self.kind, self.plan.name)
        elif stable != candidate:
            self._write(stable, {stable: 100}, "")
        if stable != candidate:
            self.cluster.delete(INFERENCE_SERVICE, self._named(candidate))

    def tidy(self) -> None:
        """Delete the InferenceServices of older revisions."""
        known = self.cluster.get(self.kind, self.plan.name) or {}
        noted = known.get("metadata", {}).get("annotations", {})
        kept = {self._named(noted[key]) for key in (STABLE, PREVIOUS) if noted.get(key)}
        for service in self.cluster.all(INFERENCE_SERVICE, f"{ROLLOUT}={self.plan.name}"):
            if service["metadata"]["name"] not in kept:
                self.cluster.delete(INFERENCE_SERVICE, service["metadata"]["name"])

    @abstractmethod
    def public(self) -> Address:
        """Where clients ask."""

    @abstractmethod
    def weights(self, document: Mapping[str, Any]) -> dict[str, int]:
        """Revisions and their shares, as a resource of the kind has them."""

    @abstractmethod
    def split(self, shares: Mapping[str, int]) -> dict[str, Any]:
        """The `spec` that gives each revision its share."""

    @property
    def _path(self) -> str:
        return f"/v2/models/{self.plan.name}/infer"

    def _named(self, revision: str) -> str:
        return f"{self.plan.name}-{revision}"

    def _write(
        self,
        stable: str,
        shares: Mapping[str, int],
        candidate: str,
        *,
        previous: str | None = None,
    ) -> None:
        known = self.cluster.get(self.kind, self.plan.name) or {}
        noted = known.get("metadata", {}).get("annotations", {})
        self.cluster.apply(
            self.kind,
            {
                "metadata": {
                    "name": self.plan.name,
                    "labels": {"app.kubernetes.io/part-of": "rampart"},
                    "annotations": {
                        _MODE: "Standard",
                        _SCALER: "none",
                        STABLE: stable,
                        CANDIDATE: candidate,
                        PREVIOUS: previous or noted.get(PREVIOUS, ""),
                    },
                },
                "spec": self.split(shares),
            },
        )

    def _service(self) -> dict[str, Any]:
        plan = self.plan
        user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
        return {
            "metadata": {
                "name": self._named(plan.revision),
                "labels": {"app.kubernetes.io/part-of": "rampart", ROLLOUT: plan.name},
                "annotations": {_MODE: "Standard", BUNDLE: plan.bundle_id},
            },
            "spec": {
                "predictor": {
                    "minReplicas": plan.replicas,
                    "serviceAccountName": plan.service_account,
                    "automountServiceAccountToken": False,
                    "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
                    "model": {
                        "modelFormat": {"name": "rampart", "version": "1"},
                        "protocolVersion": "v2",
                        "runtime": plan.runtime,
                        "storageUri": plan.storage_uri,
                        # Clients know one name, whichever revision answers.
                        "args": [f"--model_name={plan.name}"],
                    },
                }
            },
        }


class GraphTarget(StandardTarget):
    """A Splitter in front: KServe's router, a Deployment of the graph's name."""

    kind = GRAPH

    def public(self) -> Address:
        """The graph's own Service; its path is the root."""
        return Address(self.plan.name, "/")

    def weights(self, document: Mapping[str, Any]) -> dict[str, int]:
        """By the steps of the root."""
        root = document["spec"].get("nodes", {}).get("root", {})
        steps = root.get("steps", ())
        return {step["name"]: int(step.get("weight", 0)) for step in steps}

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
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"},
            },
        }

    def settled(self) -> Condition:
        """By the router's pods: all of this generation, all ready, and none besides."""
        graph = self.cluster.get(GRAPH, self.plan.name)
        if graph is None:
            return Condition(ready=False, failed=f"the graph {self.plan.name} has been deleted")
        status = graph.get("status", {})
        if status.get("observedGeneration", 0) < graph["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen the weights yet")
        pods = self.cluster.all(POD, f"serving.kserve.io/inferencegraph={self.plan.name}")
        if (why := broken(pods, restarts=3)) is not None:
            return Condition(ready=False, failed=f"the graph's router: {why}")
        wanted = self.weights(graph)
        if any(self.weights({"spec": told(pod)}) != wanted for pod in pods):
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

    def weights(self, document: Mapping[str, Any]) -> dict[str, int]:
        """By the backends of the one rule."""
        backends = document["spec"]["rules"][0].get("backendRefs", ())
        cut = len(self.plan.name) + 1
        return {
            backend["name"].removesuffix("-predictor")[cut:]: int(backend.get("weight", 1))
            for backend in backends
        }

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
        """By the Gateway's word for this generation of the route."""
        route = self.cluster.get(ROUTE, self.plan.name)
        if route is None:
            return Condition(ready=False, failed=f"the route {self.plan.name} has been deleted")
        for parent in route.get("status", {}).get("parents", ()):
            for one in parent.get("conditions", ()):
                if one["type"] == "ResolvedRefs" and one["status"] == "False":
                    return Condition(ready=False, failed=str(one.get("message")))
                current = one.get("observedGeneration", 0) >= route["metadata"]["generation"]
                if one["type"] == "Accepted" and one["status"] == "True" and current:
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
