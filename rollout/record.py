"""What a rollout remembers: which revision is stable, and which is on its way.

It lies on the Lease of the name, and not on what splits the traffic: KServe copies a graph's
annotations into its router's pods, which every note would start anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from rollout.cluster import Cluster
from rollout.kinds import LEASE

_PREFIX = "rampart.io/"


@dataclass(frozen=True)
class Record:
    """Revisions by name; empty for none.

    Attributes:
        stable: the last one that stood all checks.
        stable_uri: of its bundle.
        previous: the one that it replaced.
        candidate: the one on its way.
    """

    stable: str = ""
    stable_uri: str = ""
    previous: str = ""
    candidate: str = ""


def lease_of(name: str) -> str:
    """The Lease of a rollout's name."""
    return f"rampart-rollout-{name}"


def read_record(cluster: Cluster, name: str) -> Record:
    """What is remembered; nothing where there has been no rollout."""
    lease: dict[str, Any] = cluster.get(LEASE, lease_of(name)) or {}
    noted = lease.get("metadata", {}).get("annotations", {})
    given = {
        one.name: noted.get(_PREFIX + one.name.replace("_", "-"), "") for one in fields(Record)
    }
    return Record(**given)


def write_record(cluster: Cluster, name: str, record: Record) -> None:
    """Remember; the whole record is one write."""
    noted = {
        _PREFIX + one.name.replace("_", "-"): getattr(record, one.name) for one in fields(Record)
    }
    cluster.apply(LEASE, {"metadata": {"name": lease_of(name), "annotations": noted}})
