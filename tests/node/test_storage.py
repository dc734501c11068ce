"""An InferenceService that says `modelFormat: rampart`, its bundle in S3 or on the web."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rampart.bundle.remote import RemoteBundle
from tests.integration.serving.conftest import TEXTS, question
from tests.node.site import PYTHON, Site
from tests.node.test_serving import ask, assert_the_bundles_verdicts

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "something"}


def _pod(site: Site, name: str, port: int) -> None:
    """A pod like the one of bundles, and a Service before it."""
    [pod] = site.manifest("manifests/bundles/bundles-pod.yaml")
    pod["metadata"] = {"name": name, "labels": {"app": name}}
    [container] = pod["spec"]["containers"]
    container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    if name == "store":
        del container["command"]
        # Else it takes the first part of its own host's name for a bucket's.
        container["env"] = [{"name": "S3_IGNORE_SUBDOMAIN_BUCKETNAME", "value": "true"}]
        container["image"] = container["image"].replace("rampart-predictor", "rampart-test-store")
        pod["spec"]["volumes"] = [{"name": "bundles", "emptyDir": {}}]
        container["volumeMounts"] = [{"name": "bundles", "mountPath": "/tmp"}]
    else:
        serve = ["-m", "http.server", str(port), "--directory", "/bundles"]
        container["command"] = [PYTHON, *serve]
    container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
    site.apply(pod, service)
    site("wait", "--for=condition=Ready", "--timeout=100s", f"pod/{name}")


@pytest.fixture(scope="module")
def initializer(site: Site) -> None:
    """Our storage container has the image that this cluster's KServe has."""
    config = site.kubectl(
        "-n", "kserve", "get", "configmap", "inferenceservice-config", "-o", "json"
    )
    image = json.loads(json.loads(config.stdout)["data"]["storageInitializer"])["image"]
    [container] = site.manifest("manifests/serving/storage-container.yaml")
    container["spec"]["container"]["image"] = image
    site.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=[container])


@contextmanager
def _forwarded(site: Site, name: str, port: int) -> Iterator[int]:
    """A port of this machine that leads to the pod's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own: int = probe.getsockname()[1]
    command = ["kubectl", "-n", site.namespace, "port-forward", f"pod/{name}", f"{own}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"Forwarding" in process.stdout.readline()
            yield own
        finally:
            process.kill()


@pytest.fixture
def store(site: Site, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bundle's address in a store that speaks S3, published there as a pipeline does it."""
    import s3fs

    _pod(site, "store", 9000)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with _forwarded(site, "store", 9000) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        s3fs.S3FileSystem().mkdir("rampart")
        RemoteBundle("s3://rampart/bundles/old").publish(bundles["old"])
    yield "s3://rampart/bundles/old"
    site("delete", "pod,service", "store", "--wait=false")


def test_a_bundle_in_s3_serves(
    site: Site, initializer: None, store: str, bundles: dict[str, Path]
) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "rampart-store",
            "annotations": {
                "serving.kserve.io/s3-endpoint": f"store.{site.namespace}:9000",
                "serving.kserve.io/s3-usehttps": "0",
                "serving.kserve.io/s3-region": "us-east-1",
            },
        },
        "stringData": KEYS,
    }
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "from-store"},
        "automountServiceAccountToken": False,
        "secrets": [{"name": "rampart-store"}],
    }
    site.apply(secret, account)
    _serves(site, "by-store", store, bundles["old"], serviceAccountName="from-store")


def test_a_bundle_on_the_web_serves(
    site: Site, initializer: None, bundles: dict[str, Path]
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for part in sorted(bundles["old"].iterdir()):
            archive.add(part, arcname=part.name)
    command = ["kubectl", "-n", site.namespace, "exec", "-i", "rampart-bundles", "--"]
    subprocess.run(
        [*command, "tee", "/bundles/old.tar.gz"],
        input=packed.getvalue(), stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    _pod(site, "web", 8000)
    address = f"http://web.{site.namespace}:8000/old.tar.gz"
    _serves(site, "by-web", address, bundles["old"])
    site("delete", "pod,service", "web", "--wait=false")


def _serves(site: Site, name: str, address: str, bundle: Path, **more: object) -> None:
    site.predictor(name, address, storageContainerName="rampart", **more)
    time.sleep(1)
    site.serving(name)
    url = f"http://{name}-predictor/v2/models/{name}/infer"
    assert_the_bundles_verdicts(ask(site, url, question(TEXTS)), bundle, TEXTS)
    site("delete", "inferenceservice", name)
