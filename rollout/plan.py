"""What is to be put behind KServe, and what it has to stand on the way."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rampart.errors import InputError

Mode = Literal["graph", "gateway", "knative"]
# A name of Kubernetes' that leaves room for "-REVISION-predictor-default" in 63 characters.
_NAME = r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"
REVISION_DIGITS = 8


class Checks(BaseModel):
    """When a revision is not good enough.

    Attributes:
        ready_seconds: that it may take to answer its first request.
        restarts: of its containers, at the most, until it is ready.
        watch_seconds: that it is watched at each share of the traffic.
        logit_tolerance: between what it answers and what the bundle answers here: 8-bit weights
            give a little more or less by the instructions that a CPU has.
        more_errors: labelled examples that it may get wrong beyond those that the stable one does.
        slower: times the stable one's 95th percentile that its own may be.
        slower_by: milliseconds that it may be slower whatever the ratio: noise of short times.
        failures: requests that it may fail while it is watched.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ready_seconds: float = Field(default=600.0, gt=0)
    restarts: int = Field(default=3, ge=0)
    watch_seconds: float = Field(default=60.0, ge=0)
    logit_tolerance: float = Field(default=0.05, gt=0)
    more_errors: int = Field(default=0, ge=0)
    slower: float = Field(default=2.0, ge=1)
    slower_by: float = Field(default=50.0, ge=0)
    failures: int = Field(default=0, ge=0)


class Plan(BaseModel):
    """One bundle for one name.

    Attributes:
        name: that clients ask under: the graph's, the route's or the InferenceService's.
        namespace: where it is.
        storage_uri: of the bundle, as KServe reads it: pvc://, s3://, gs://, https://.
        bundle_id: that the servers have to name in their answers.
        mode: what splits traffic: an InferenceGraph or a Gateway's HTTPRoute in Standard mode, or
            Knative.
        steps: percentages of the traffic, each held until its checks have passed; 100 at the end.
        replicas: of each revision, and of a graph's router, at the least.
        max_replicas: of each revision, at the most; no more than `replicas` where it is less.
        runtime: the ServingRuntime; that of manifests/ for the mode if empty.
        service_account: of the pods.
        storage_container: the ClusterStorageContainer that fetches a bundle which is not on a
            volume: KServe's own, for which this is empty, is refused by restricted namespaces.
        gateway: NAMESPACE/NAME of the Gateway, for `gateway`.
        hostname: of the route, for `gateway`.
        checks: what it has to stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    namespace: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    storage_uri: str = Field(pattern=r"^[a-z0-9]+://\S+$")
    bundle_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    mode: Mode = "graph"
    steps: tuple[int, ...] = (5, 25, 50, 100)
    replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=4, ge=1)
    runtime: str = ""
    service_account: str = "rampart-serving"
    storage_container: str = "rampart"
    gateway: str = "kserve/kserve-ingress-gateway"
    hostname: str = ""
    checks: Checks = Checks()

    @field_validator("steps", mode="before")
    @classmethod
    def _steps_may_be_one_text(cls, steps: object) -> object:
        return tuple(steps.split(",")) if isinstance(steps, str) else steps

    @field_validator("steps")
    @classmethod
    def _steps_rise_to_the_whole(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not steps or steps[-1] != 100 or list(steps) != sorted(set(steps)) or steps[0] < 1:
            raise ValueError(f"{list(steps)} do not rise from 1 or more to 100")
        return steps

    @property
    def served_by(self) -> str:
        """The ServingRuntime's name."""
        return self.runtime or ("rampart-knative" if self.mode == "knative" else "rampart")

    @property
    def fetched_by(self) -> dict[str, str]:
        """What a predictor says of its ClusterStorageContainer."""
        local = not self.storage_container or self.storage_uri.startswith("pvc://")
        return {} if local else {"storageContainerName": self.storage_container}

    @property
    def revision(self) -> str:
        """What tells this bundle's revision from others of the name."""
        return self.bundle_id[:REVISION_DIGITS]


def planned(**given: Any) -> Plan:
    """A plan from what a user said.

    Raises:
        InputError: names what cannot be used.
    """
    try:
        return Plan(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{where} cannot be used: {first['msg']}, not {first['input']!r}.", "Correct the value."
        ) from None
