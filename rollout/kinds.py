"""Kinds of resources, and where the API server has them."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """Where a kind of resource is found.

    Attributes:
        group: its API group; empty for the core's.
        version: of the API.
        plural: in the path.
        name: as documents say it.
    """

    group: str
    version: str
    plural: str
    name: str

    @property
    def api(self) -> str:
        """As `apiVersion` says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "") -> str:
        """Of one resource, or of all of a namespace."""
        root = f"/apis/{self.api}" if self.group else f"/api/{self.version}"
        whole = f"{root}/namespaces/{namespace}/{self.plural}"
        return f"{whole}/{name}" if name else whole


INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService")
GRAPH = Kind("serving.kserve.io", "v1alpha1", "inferencegraphs", "InferenceGraph")
ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
POD = Kind("", "v1", "pods", "Pod")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
