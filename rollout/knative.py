"""Knative mode: one InferenceService, whose revisions and traffic Knative keeps.

A new storageUri with `canaryTrafficPercent` makes a revision that gets so much; without the field
it gets all. `Ready` stays true while a new revision is not (kserve#4626), so the revisions' own
names are compared. Requests to the candidate alone go by its tag, `latest`.

A hundred per cent makes a revision the one that KServe goes back to, so that a candidate gets 99 of
them until it is promoted.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from rollout.kinds import INFERENCE_SERVICE, POD
from rollout.standard import broken
from rollout.target import ROLLOUT, Address, Condition, Target

_MODE = "serving.kserve.io/deploymentMode"
_TAGS = "serving.kserve.io/enable-tag-routing"
_ALMOST = 99


class KnativeTarget(Target):
    """One InferenceService in Knative mode; its runtime has the one port of REST."""

    kind = INFERENCE_SERVICE

    def shares(self, document: dict[str, Any]) -> dict[str, int]:
        """What the revision on its way gets by the percentage."""
        record = self.record
        percent = document["spec"]["predictor"].get("canaryTrafficPercent", 100)
        return {record.candidate: int(percent)} if record.candidate else {}

    def written(self) -> dict[str, Any]:
        """The runtime, the account and the replicas."""
        predictor = (self.live() or {}).get("spec", {}).get("predictor", {})
        given = {
            "runtime": predictor.get("model", {}).get("runtime"),
            "service_account": predictor.get("serviceAccountName"),
            "replicas": predictor.get("minReplicas"),
            "storage_container": predictor.get("storageContainerName"),
        }
        return {key: value for key, value in given.items() if value is not None}

    def prepare(self) -> None:
        """The bundle's address with no traffic, or with all of it where nothing else serves."""
        service, stable = self.live(), self.record.stable
        if not stable:
            self._write(self.plan.storage_uri, percent=None)
        elif service is None or self._uri(service) != self.plan.storage_uri:
            self._write(self.plan.storage_uri, percent=0)

    def condition(self) -> Condition:
        """Whether the newest revision is the one that was written last, and is ready."""
        service = self.live()
        if service is None:
            return Condition(ready=False, failed=f"{self.plan.name} has been deleted")
        status = service.get("status", {})
        if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen it yet")
        part = self._part(service)
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
        """The predictor's own host; a revision's has its tag before it."""
        path = f"/v2/models/{self.plan.name}/infer"
        part = self._part(self.live() or {})
        url = str(part.get("url", ""))
        if revision is not None:
            tag = "latest" if revision != self.record.stable else "prev"
            tagged = {entry.get("tag"): entry.get("url") for entry in part.get("traffic", ())}
            url = str(tagged.get(tag) or url)
        host = urlsplit(url).hostname or f"{self.plan.name}-predictor"
        return Address(f"{self.plan.name}-predictor", path, host)

    def shift(self, percent: int) -> None:
        """Write the percentage; all of it is for the promotion to give."""
        if self.record.stable not in ("", self.plan.revision):
            self._write(self.plan.storage_uri, percent=min(percent, _ALMOST))

    def settled(self) -> Condition:
        """Whether the status' traffic is the spec's."""
        service = self.live()
        if service is None:
            nobody = not self.record.stable
            why = None if nobody else f"{self.plan.name} has been deleted"
            return Condition(ready=nobody, failed=why)
        status = service.get("status", {})
        if status.get("observedGeneration", 0) < service["metadata"]["generation"]:
            return Condition(ready=False, waiting="KServe has not seen the percentage yet")
        wanted = int(service["spec"]["predictor"].get("canaryTrafficPercent", 100))
        part = self._part(service)
        newest = part.get("latestReadyRevision")
        given = sum(
            int(entry.get("percent") or 0)
            for entry in part.get("traffic", ())
            if entry.get("revisionName") == newest or entry.get("latestRevision")
        )
        if given != wanted:
            return Condition(ready=False, waiting=f"{given} % go to {newest}, not {wanted} yet")
        return Condition(ready=True)

    def finish(self) -> None:
        """All traffic to the newest revision: the field goes."""
        self._write(self.plan.storage_uri, percent=None)

    def withdraw(self) -> None:
        """No traffic to the newest revision, which Knative does at once."""
        service = self.live()
        if service is None:
            return
        if self.record.stable:
            self._write(self._uri(service), percent=0)
        else:
            self.cluster.delete(INFERENCE_SERVICE, self.plan.name)

    def drop(self, revision: str) -> None:
        """The stable bundle's address again, still without traffic: the stable revision has it."""
        record = self.record
        if record.stable and revision != record.stable:
            self._write(record.stable_uri, percent=0)

    def tidy(self) -> None:
        """Knative collects its own revisions."""

    def _uri(self, service: dict[str, Any]) -> str:
        return str(service["spec"]["predictor"].get("model", {}).get("storageUri", ""))

    def _part(self, service: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = service.get("status", {}).get("components", {}).get("predictor", {})
        return found

    def _write(self, uri: str, *, percent: int | None) -> None:
        self.live()  # ours, or not there
        plan = self.plan
        predictor: dict[str, Any] = {
            "minReplicas": plan.replicas,
            "serviceAccountName": plan.service_account,
            "automountServiceAccountToken": False,
            **plan.fetched_by,
            "model": {
                "modelFormat": {"name": "rampart", "version": "1"},
                "protocolVersion": "v2",
                "runtime": plan.served_by,
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
                    "annotations": {_MODE: "Knative", _TAGS: "true"},
                },
                "spec": {"predictor": predictor},
            },
        )
