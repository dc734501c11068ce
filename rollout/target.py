"""What a rollout moves, whatever splits the traffic: a stable revision, a candidate beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

from rampart.errors import RolloutError
from rollout.cluster import Cluster
from rollout.kinds import Kind
from rollout.plan import Plan
from rollout.record import Record, read_record, write_record

BUNDLE = "rampart.io/bundle"
ROLLOUT = "rampart.io/rollout"


@dataclass(frozen=True)
class State:
    """Who gets what share of the traffic.

    Attributes:
        stable: the last revision that stood all checks; None before the first.
        candidate: the revision beside it; None where there is none.
        percent: of the traffic, that the candidate gets.
    """

    stable: str | None
    candidate: str | None
    percent: int


@dataclass(frozen=True)
class Condition:
    """How far a revision's pods are, or a split.

    Attributes:
        ready: whether all of it is, by its own word and KServe's.
        failed: why it never will be; None where it may.
        waiting: what is being waited for.
    """

    ready: bool
    failed: str | None = None
    waiting: str = ""


@dataclass(frozen=True)
class Address:
    """Where a V2 request is sent.

    Attributes:
        service: the Service's name, in the rollout's namespace, or NAME.NAMESPACE.
        path: of the request.
        host: for the Host header, where a gateway reads it; empty for the service's own.
    """

    service: str
    path: str
    host: str = ""


class Target(ABC):
    """One name that clients ask under; every method may be called again after it was broken off.

    Args:
        plan: what is to be served.
        cluster: its namespace.
    """

    kind: Kind

    def __init__(self, plan: Plan, cluster: Cluster) -> None:
        self.plan = plan
        self.cluster = cluster

    @property
    def record(self) -> Record:
        """What is remembered of the name."""
        return read_record(self.cluster, self.plan.name)

    def state(self) -> State:
        """By the record, and by the shares that are written."""
        record = self.record
        document = self.live()
        shares = self.shares(document) if document is not None else {}
        return State(
            record.stable or None, record.candidate or None, shares.get(record.candidate, 0)
        )

    def live(self) -> dict[str, Any] | None:
        """What splits the traffic, as it is.

        Raises:
            RolloutError: there is something of the name that no rollout made.
        """
        name = self.plan.name
        document = self.cluster.get(self.kind, name)
        if document is None:
            return None
        if document["metadata"].get("labels", {}).get(ROLLOUT) != name:
            raise RolloutError(
                f"The {self.kind.name} {name} in {self.plan.namespace} was made by no rollout.",
                f"Name another, or label it {ROLLOUT}={name} to let rollouts have it.",
            )
        return document

    def begin(self) -> None:
        """Remember that the plan's revision is on its way, and let it have pods."""
        write_record(
            self.cluster, self.plan.name, replace(self.record, candidate=self.plan.revision)
        )
        self.prepare()

    def promote(self) -> None:
        """Make the plan's revision, which has all traffic, the stable one."""
        record, plan = self.record, self.plan
        previous = record.stable if record.stable != plan.revision else record.previous
        self.finish()
        write_record(
            self.cluster,
            plan.name,
            Record(plan.revision, plan.storage_uri, previous=previous, candidate=""),
        )

    def forget(self) -> None:
        """Remember that nothing is on its way."""
        write_record(self.cluster, self.plan.name, replace(self.record, candidate=""))

    def written(self) -> dict[str, Any]:
        """What of a plan is written in the cluster, for those who have no plan of their own."""
        return {}

    @abstractmethod
    def shares(self, document: dict[str, Any]) -> dict[str, int]:
        """Revisions and their shares of the traffic, as what splits it has them."""

    @abstractmethod
    def prepare(self) -> None:
        """Let the plan's revision have pods, and no traffic."""

    @abstractmethod
    def condition(self) -> Condition:
        """How far the plan's revision is."""

    @abstractmethod
    def address(self, revision: str | None) -> Address:
        """Of one revision alone, or of the name itself for None."""

    @abstractmethod
    def shift(self, percent: int) -> None:
        """Give the plan's revision so much of the traffic, and the stable one the rest."""

    @abstractmethod
    def settled(self) -> Condition:
        """Whether the last shift or withdrawal is in force."""

    @abstractmethod
    def finish(self) -> None:
        """What is left to do where the plan's revision has all traffic."""

    @abstractmethod
    def withdraw(self) -> None:
        """Give all traffic to the stable revision; where there is none, to nobody."""

    @abstractmethod
    def drop(self, revision: str) -> None:
        """Let go of a revision that has no traffic any more."""

    @abstractmethod
    def tidy(self) -> None:
        """Let go of every revision but the stable one and the one that it replaced."""
