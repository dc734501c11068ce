"""What a rollout moves, whatever splits the traffic: a stable revision, a candidate beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from rollout.cluster import Cluster, Kind
from rollout.plan import Plan

STABLE = "rampart.io/stable"
STABLE_URI = "rampart.io/stable-uri"
CANDIDATE = "rampart.io/candidate"
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
    """How far a revision's pods are.

    Attributes:
        ready: whether all of them are, by their own word and KServe's.
        failed: why they never will be; None where they may.
        waiting: what is being waited for.
    """

    ready: bool
    failed: str | None = None
    waiting: str = ""


@dataclass(frozen=True)
class Address:
    """Where a V2 request is sent.

    Attributes:
        service: the Service's name, in the rollout's namespace.
        path: of the request.
        host: for the Host header, where a gateway reads it; empty for the service's own.
    """

    service: str
    path: str
    host: str = ""


class Target(ABC):
    """One name that clients ask under; every method may be called again after it was broken off."""

    def __init__(self, plan: Plan, cluster: Cluster) -> None:
        self.plan = plan
        self.cluster = cluster

    @property
    @abstractmethod
    def subject(self) -> tuple[Kind, str]:
        """The resource that events are left at."""

    @abstractmethod
    def state(self) -> State:
        """As the cluster has it."""

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
        """Whether the last shift is in force."""

    @abstractmethod
    def promote(self) -> None:
        """Make the plan's revision the stable one, with all traffic; what it replaced stays."""

    @abstractmethod
    def restore(self, candidate: str) -> None:
        """Give all traffic to the stable revision, and let the candidate go."""

    @abstractmethod
    def tidy(self) -> None:
        """Let go of every revision but the stable one and the one that it replaced."""
