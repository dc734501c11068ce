"""The API server as a rollout needs it: server-side apply without force, and patience.

What is written is owned by one field manager. A field that somebody else owns is not taken from
them: the conflict is an error that names them. A server that is away for a while is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from rampart.errors import RolloutError
from rollout.kinds import EVENT, POD, Kind

MANAGER = "rampart-rollout"
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
PATIENCE_SECONDS = 120.0
# The API server takes 1,024.
_NOTE_BYTES = 1000
_PASSING = frozenset({0, 429, 500, 502, 503, 504})
# A server that has just started may not know who may do what.
_AFTER_START = frozenset({401, 403})
Document = dict[str, Any]
T = TypeVar("T")


class ConflictError(RolloutError):
    """Somebody else owns what was to be written, or wrote it meanwhile."""


class MissingError(RolloutError):
    """There is no such resource, or no such kind of one."""


class Cluster:
    """One namespace of an API server.

    Args:
        client: of the `kubernetes` package, already configured.
        namespace: that everything is in.
        patience: seconds that the server may be away.
        guard: called before anything is written; raises where it must not be.
    """

    def __init__(
        self,
        client: Any,
        namespace: str,
        *,
        patience: float = PATIENCE_SECONDS,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.client = client
        self.namespace = namespace
        self._patience = patience
        self._guard = guard

    @classmethod
    def configured(cls, namespace: str, context: str | None = None) -> Cluster:
        """By the pod's service account, else by KUBECONFIG.

        Raises:
            RolloutError: there is neither.
        """
        from kubernetes import client, config

        try:
            if context is None:
                config.load_config()
            else:
                config.load_kube_config(context=context)
        except config.ConfigException as error:
            raise RolloutError(
                f"There is no cluster to speak to: {error}.",
                "Set KUBECONFIG, or run this in a pod with a service account.",
            ) from error
        return cls(client.ApiClient(), namespace)

    def with_patience(self, seconds: float) -> Cluster:
        """The same, asked again for no longer than so."""
        return Cluster(self.client, self.namespace, patience=seconds)

    def guarded(self, guard: Callable[[], None]) -> Cluster:
        """The same, which writes nothing unless the guard lets it."""
        return Cluster(self.client, self.namespace, patience=self._patience, guard=guard)

    def get(self, kind: Kind, name: str) -> Document | None:
        """A resource, or None where there is none of that name."""
        found: Document | None = self._asked("GET", kind.path(self.namespace, name), absent=(404,))
        return found

    def all(self, kind: Kind, selector: str) -> list[Document]:
        """The resources with these labels."""
        found = self._asked("GET", kind.path(self.namespace), query={"labelSelector": selector})
        return list((found or {}).get("items", ()))

    def apply(self, kind: Kind, document: Mapping[str, Any]) -> Document:
        """Make a resource what the document says, as far as it says anything.

        Raises:
            ConflictError: a field of it is somebody else's.
            RolloutError: the document is refused.
        """
        name = document["metadata"]["name"]
        whole = {"apiVersion": kind.api, "kind": kind.name, **document}
        applied = self._asked(
            "PATCH",
            kind.path(self.namespace, name),
            body=whole,
            query={"fieldManager": MANAGER, "force": "false", "fieldValidation": "Strict"},
            content="application/apply-patch+yaml",
        )
        return applied or {}

    def create(self, kind: Kind, document: Mapping[str, Any]) -> Document:
        """Make a new resource.

        Raises:
            ConflictError: there is one of that name.
        """
        whole = {"apiVersion": kind.api, "kind": kind.name, **document}
        return self._asked("POST", kind.path(self.namespace), body=whole) or {}

    def replace(self, kind: Kind, document: Mapping[str, Any]) -> Document:
        """Write a resource that was read before.

        Raises:
            ConflictError: it has been written by another since.
        """
        name = document["metadata"]["name"]
        return self._asked("PUT", kind.path(self.namespace, name), body=document) or {}

    def delete(self, kind: Kind, name: str) -> None:
        """Remove a resource and what belongs to it; none of that name is no error."""
        body = {"propagationPolicy": "Background"}
        self._asked("DELETE", kind.path(self.namespace, name), body=body, absent=(404,))

    def tell(self, kind: Kind, name: str, *, reason: str, note: str, warning: bool = False) -> None:
        """Leave an event at a resource, for `kubectl describe`."""
        about = self.get(kind, name)
        if about is None:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.create(
            EVENT,
            {
                "metadata": {"name": f"{name}.{token_hex(8)}", "namespace": self.namespace},
                "eventTime": now,
                "reportingController": "rampart.io/rollout",
                "reportingInstance": MANAGER,
                "action": "Rollout",
                "reason": reason,
                "type": "Warning" if warning else "Normal",
                "note": note.encode()[:_NOTE_BYTES].decode("utf-8", "ignore"),
                "regarding": {
                    "apiVersion": kind.api,
                    "kind": kind.name,
                    "name": name,
                    "namespace": self.namespace,
                    "uid": about["metadata"]["uid"],
                },
            },
        )

    def log(self, pod: str, *, since: str = "", previous: bool = False) -> str:
        """What a pod has printed, each line behind its time; empty where it has not begun.

        Args:
            pod: its name.
            since: a line's time; from its second on.
            previous: of the container that was there before this one.
        """
        query = {"timestamps": "true", "previous": str(previous).lower()}
        query |= {"sinceTime": since} if since else {}
        path = f"{POD.path(self.namespace, pod)}/log"
        found = self._asked("GET", path, query=query, absent=(400, 404), form="str")
        return str(found or "")

    def _asked(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        absent: tuple[int, ...] = (),
        form: str = "object",
    ) -> Any:
        from kubernetes.client.exceptions import ApiException

        def call() -> Any:
            return self.client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={
                    "Accept": "application/json" if form == "object" else "*/*",
                    "Content-Type": content,
                },
                body=body,
                response_type=form,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=30,
            )

        try:
            return self._patiently(call, writes=method != "GET")
        except ApiException as error:
            if error.status in absent:
                return None
            raise _refusal(error, method, path) from error

    def _patiently(self, call: Callable[[], T], *, writes: bool) -> T:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        until = time.monotonic() + self._patience
        wait = 0.2
        passing = _PASSING
        while True:
            if writes:
                self._guard()
            try:
                return call()
            except ApiException as error:
                if error.status not in passing or time.monotonic() > until:
                    raise
            except HTTPError as error:
                if time.monotonic() > until:
                    raise RolloutError(
                        f"The API server has not answered for {self._patience:.0f} s: {error}.",
                        "Run the rollout again when it does; it goes on where it stopped.",
                    ) from error
            passing = _PASSING | _AFTER_START
            time.sleep(wait)
            wait = min(2 * wait, 5.0)


def own_namespace() -> str:
    """The namespace of this pod.

    Raises:
        RolloutError: this is no pod.
    """
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RolloutError(
            "There is no namespace: this is no pod, and none was given.", "Give the namespace."
        ) from error


def _refusal(error: Any, method: str, path: str) -> RolloutError:
    import json

    try:
        said = json.loads(error.body)["message"]
    except (ValueError, KeyError, TypeError):
        said = str(error.reason)
    what = path.rpartition("/namespaces/")[2]
    if error.status == 409:
        return ConflictError(
            f"{what} is not ours alone to write: {said}.",
            "Let one of them go: undo the other's change, or wait until the other is done.",
        )
    if error.status in (401, 403):
        return RolloutError(
            f"{method} {what} is not allowed: {said}.",
            "Give the service account manifests/pipelines/access.yaml.",
        )
    refused = MissingError if error.status == 404 else RolloutError
    return refused(f"{method} {what} was refused ({error.status}): {said}.")
