"""Knative mode: one InferenceService, whose revisions and traffic Knative keeps.

A new storageUri with `canaryTrafficPercent` makes a revision that gets so much; without the field
it gets all. `Ready` stays true while a new revision is not (kserve#4626), so the revisions' own
names are compared. Requests to the candidate alone go by its tag, `latest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rollout.cluster import INFERENCE_SERVICE, POD, Kind
from rollout.standard import broken
from rollout.target import (
    BUNDLE,
    CANDIDATE,
    ROLLOUT,
    STABLE,
    STABLE_URI,
    Address,
    Condition,
    State,
    Target,
)

_MODE = "serving.kserve.io/deploymentMode"
_TAGS = "serving.kserve.io/enable-tag-routing"


class KnativeTarget(Target):
    """One InferenceService in Knative mode; the runtime has to have one port, see manifests/."""

    @property
    def subject(self) -> tuple[Kind, str]:
        """The InferenceService."""
        return INFERENCE_SERVICE, self.plan.name

    def state(self) -> State:
        """By the annotations and the percentage."""
        known = self.cluster.get(INFERENCE_SERVICE, self.plan.name)
        if known is None:
            return State(None, None, 0)
        noted = known["metadata"].get("annotations", {})
        percent = known["spec"]["predictor"].get("canaryTrafficPercent")
        candidate = noted.get(CANDIDATE) or None
        return State(noted.get(STABLE) or None, candidate, int(percent or 0) if candidate else 0)

    def prepare(self) -> None:
        """The bundle's address with no traffic, or with all of it where nothing else serves."""
        state = self.state()
        if state.stable is None:
            self._write("", self.plan.revision, percent=None)
        elif state.candidate != self.plan.revision:
            self._write(state.stable, self.plan.revision, percent=0)

    def condition(self) -> Condition:
        """Whether the newest revision is the one that was written last, and is ready."""
        service = self.cluster.get(INFERENCE_SERVICE, self.plan.name)
        if service is None:
            return Condition(ready=False, failed=f"{self.plan.name} has been deleted")
        status = service.get("status", {})
        if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen it yet")
        part = status.get("components", {}).get("predictor", {})
        created, ready = part.get("latestCreatedRevision"), part.get("latestReadyRevision")
        if created:
            pods = self.cluster.all(POD, f"serving.knative.dev/revision={created}")
            if (why := broken(pods, self.plan.checks.restarts)) is not None:
                return Condition(ready=False, failed=why)
        for one in status.get("conditions", ()):
            # A revision that failed says so here, whatever Ready says.
            wrong = one.get("type") == "PredictorConfigurationReady" and one["status"] == "False"
            if wrong and created != ready:
                return Condition(ready=False, failed=str(one.get("message") or one.get("reason")))
        if not created or created != ready:
            waiting = f"the revision {created or 'to come'} is not ready, {ready or 'none'} is"
            return Condition(ready=False, waiting=waiting)
        return Condition(ready=True)

    def address(self, revision: str | None) -> Address:
        """The predictor's own host; the candidate's has its tag before it."""
        path = f"/v2/models/{self.plan.name}/infer"
        service = self.cluster.get(INFERENCE_SERVICE, self.plan.name) or {}
        part = service.get("status", {}).get("components", {}).get("predictor", {})
        url = str(part.get("url", ""))
        state = self.state()
        if revision is not None and revision != state.stable:
            for entry in part.get("traffic", ()):
                if entry.get("tag") == "latest":
                    url = str(entry.get("url", url))
        elif revision is not None:
            for entry in part.get("traffic", ()):
                if entry.get("tag") == "prev":
                    url = str(entry.get("url", url))
        host = urlsplit(url).hostname or f"{self.plan.name}-predictor"
        return Address(f"{self.plan.name}-predictor", path, host)

    def shift(self, percent: int) -> None:
        """Write the percentage."""
        stable = self.state().stable
        if stable not in (None, self.plan.revision):
            self._write(str(stable), self.plan.revision, percent=percent)

    def settled(self) -> Condition:
        """Whether the status' traffic is the spec's."""
        service = self.cluster.get(INFERENCE_SERVICE, self.plan.name)
        if service is None:
            return Condition(ready=False, failed=f"{self.plan.name} has been deleted")
        status = service.get("status", {})
        if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen the percentage yet")
        wanted = service["spec"]["predictor"].get("canaryTrafficPercent", 100)
        part = status.get("components", {}).get("predictor", {})
        newest = part.get("latestReadyRevision")
        given = sum(
            int(entry.get("percent") or 0)
            for entry in part.get("traffic", ())
            if entry.get("revisionName") == newest or entry.get("latestRevision")
        )
        if given != wanted:
            return Condition(ready=False, waiting=f"{given} % go to {newest}, not {wanted} yet")
        return Condition(ready=True)

    def promote(self) -> None:
        """All traffic to the newest revision: the field goes."""
        self._write(self.plan.revision, "", percent=None)

    def restore(self, candidate: str) -> None:
        """No traffic to the newest revision, and the stable bundle's address again."""
        known = self.cluster.get(INFERENCE_SERVICE, self.plan.name) or {}
        state = self.state()
        if state.stable is None:
            self.cluster.delete(INFERENCE_SERVICE, self.plan.name)
            return
        if state.stable == candidate:
            return
        uri = known["metadata"]["annotations"].get(STABLE_URI, "")
        bundle = known["metadata"]["annotations"].get(BUNDLE, "")
        self._apply(state.stable, "", percent=0, uri=uri, stable_uri=uri, bundle=bundle)

    def tidy(self) -> None:
        """Knative collects its own revisions."""

    def _write(self, stable: str, candidate: str, *, percent: int | None) -> None:
        known = self.cluster.get(INFERENCE_SERVICE, self.plan.name) or {}
        noted: Mapping[str, str] = known.get("metadata", {}).get("annotations", {})
        own = self.plan.storage_uri
        stable_uri = own if stable in ("", self.plan.revision) else noted.get(STABLE_URI, "")
        self._apply(
            stable, candidate, percent=percent, uri=own, stable_uri=stable_uri,
            bundle=self.plan.bundle_id,
        )  # fmt: skip

    def _apply(
        self,
        stable: str,
        candidate: str,
        *,
        percent: int | None,
        uri: str,
        stable_uri: str,
        bundle: str,
    ) -> None:
        plan = self.plan
        predictor: dict[str, Any] = {
            "minReplicas": plan.replicas,
            "serviceAccountName": plan.service_account,
            "automountServiceAccountToken": False,
            "model": {
                "modelFormat": {"name": "rampart", "version": "1"},
                "protocolVersion": "v2",
                "runtime": plan.runtime,
                "storageUri": uri,
            },
        }
        if percent is not None:
            predictor["canaryTrafficPercent"] = percent
        self.cluster.apply(
            INFERENCE_SERVICE,
            {
                "metadata": {
                    "name": plan.name,
                    "labels": {"app.kubernetes.io/part-of": "rampart", ROLLOUT: plan.name},
                    "annotations": {
                        _MODE: "Knative",
                        _TAGS: "true",
                        STABLE: stable,
                        STABLE_URI: stable_uri,
                        CANDIDATE: candidate,
                        BUNDLE: bundle,
                    },
                },
                "spec": {"predictor": predictor},
            },
        )
