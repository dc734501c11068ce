"""V2 requests to what a rollout moves: straight from a pod, by the API server from outside."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rollout.cluster import Cluster
from rollout.target import Address

_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP; 0 where nothing came.
        milliseconds: that it took.
        bundle: that made it, by its own word.
        labels: of each text.
        logits: of each text.
        problem: what was wrong, in the server's or the network's words; empty for a 200.
    """

    status: int
    milliseconds: float
    bundle: str = ""
    labels: tuple[str, ...] = ()
    logits: tuple[float, ...] = ()
    problem: str = ""


class Transport(Protocol):
    """Sends a body to an address; gives status and body, or raises OSError or urllib3's errors."""

    def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
        """One request, without a second try."""
        ...

    def reaches(self, address: Address) -> bool:
        """Whether this is a way to there at all."""
        ...


class Direct:
    """From a pod: Services by their names."""

    def __init__(self, namespace: str) -> None:
        import urllib3

        self._namespace = namespace
        self._pool = urllib3.PoolManager(retries=False, timeout=_SECONDS)

    def reaches(self, address: Address) -> bool:
        """From a pod everything is."""
        return bool(address.service)

    def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
        """To the Service, in its own namespace where the address names one."""
        host = address.service
        host = host if "." in host else f"{host}.{self._namespace}"
        headers = {"Content-Type": "application/json"}
        if address.host:
            headers["Host"] = address.host
        url = f"http://{host}{address.path}"
        answer = self._pool.request("POST", url, body=body, headers=headers)
        return answer.status, answer.data


class ThroughServer:
    """From outside: by the API server's proxy to Services, with the right to `services/proxy`.

    It passes no Host header on, so that a Gateway or Knative cannot be asked this way.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def reaches(self, address: Address) -> bool:
        """Services that need no Host header."""
        return not address.host

    def post(self, address: Address, body: bytes) -> tuple[int, bytes]:
        """To the Service's port 80."""
        from kubernetes.client.exceptions import ApiException

        name, _, namespace = address.service.partition(".")
        path = f"/api/v1/namespaces/{namespace or self._namespace}/services/http:{name}:80/proxy"
        try:
            answer = self._client.call_api(
                path + address.path,
                "POST",
                header_params={"Content-Type": "application/json", "Accept": "*/*"},
                body=json.loads(body),
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_SECONDS,
            )
        except ApiException as error:
            return int(error.status or 0), str(error.body or error.reason).encode()
        return int(answer.status), bytes(answer.data)


def transport(cluster: Cluster) -> Transport:
    """The way that there is from here."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return Direct(cluster.namespace)
    return ThroughServer(cluster.client, cluster.namespace)


def ask(way: Transport, address: Address, texts: Sequence[str]) -> Answer:
    """Ask for verdicts on texts; whatever goes wrong is in the answer."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    document = {
        "inputs": [
            {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}
        ],
        "outputs": [{"name": "label"}, {"name": "logit"}],
    }
    begin = time.perf_counter()
    try:
        status, body = way.post(address, json.dumps(document).encode())
    except (HTTPError, ApiException, OSError) as error:
        return Answer(0, _since(begin), problem=str(error))
    took = _since(begin)
    if status != 200:
        return Answer(status, took, problem=body[:300].decode("utf-8", "replace"))
    try:
        said = json.loads(body)
        columns = {output["name"]: output["data"] for output in said["outputs"]}
        labels, logits = tuple(map(str, columns["label"])), tuple(map(float, columns["logit"]))
        if not len(labels) == len(logits) == len(texts):
            raise ValueError(f"{len(labels)} labels for {len(texts)} texts")  # noqa: TRY301
        return Answer(status, took, str(said["parameters"]["bundle"]), labels, logits)
    except (ValueError, KeyError, TypeError) as error:
        return Answer(status, took, problem=f"no answer of a Rampart predictor: {error!r}")


def _since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1e3
