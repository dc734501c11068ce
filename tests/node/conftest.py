"""Rampart on a real node: KUBECONFIG names a cluster that has KServe, the node has the images.

Everything happens in a namespace that is deleted afterwards. Where the cluster has no storage
class, claims get a folder of this machine, which then has to be the node.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.bundles import all_of
from tests.cluster.conftest import Kubectl, kubectl
from tests.conftest import assembled, labelled
from tests.node.site import CLIENT, HERE, Site

__all__ = ["kubectl"]
ROOT = HERE.parents[1]
CLAIMS = ("rampart-bundles", "rampart-training")


def _volumes(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """A folder for each claim, where the cluster makes no volumes itself."""
    classes = json.loads(kubectl("get", "storageclass", "-o", "json").stdout)["items"]
    if classes:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="rampart-node-"))
    volumes: list[dict[str, Any]] = []
    for claim in CLAIMS:
        path = folder / claim
        path.mkdir()
        path.chmod(0o777)
        volumes.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"{namespace}-{claim}"},
                "spec": {
                    "capacity": {"storage": "20Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": "",
                    "hostPath": {"path": str(path)},
                    "claimRef": {"namespace": namespace, "name": claim},
                },
            }
        )
    folder.chmod(0o755)
    kubectl("create", "-f", "-", input=volumes)
    yield
    kubectl("delete", "pv", *(volume["metadata"]["name"] for volume in volumes), "--wait=false")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def site(kubectl: Kubectl) -> Iterator[Site]:
    """The overlay for a laptop, without a bundle yet, and a pod of a client beside it."""
    if "inferenceservices.serving.kserve.io" not in kubectl("get", "crd", "-o", "name").stdout:
        pytest.fail("The cluster of KUBECONFIG has no KServe.", pytrace=False)
    namespace = f"rampart-test-{secrets.token_hex(4)}"
    # kustomize takes no absolute paths; it renames the overlay's namespace.
    trial = ROOT / "build" / "node" / namespace
    trial.mkdir(parents=True)
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": ["../../../kustomize/overlays/local"],
    }
    (trial / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    found = Site(namespace, kubectl)
    volumes = _volumes(kubectl, namespace)
    next(volumes)
    try:
        kubectl("apply", "--server-side", "--validate=strict", "-k", str(trial))
        found.apply(_client())
        found(
            "wait", "--for=condition=Ready", "--timeout=100s", "pod/client", "pod/rampart-bundles"
        )
        yield found
    finally:
        kubectl(
            "delete", "namespace", namespace, "--ignore-not-found", "--timeout=100s", check=False
        )
        next(volumes, None)
        shutil.rmtree(trial)


def _client() -> dict[str, Any]:
    """A pod that asks: the image of the predictor, and a program that waits."""
    [pod] = yaml.safe_load_all((ROOT / "manifests/bundles/bundles-pod.yaml").read_text())
    pod["metadata"] = {"name": CLIENT, "labels": {"rampart.io/client": "true"}}
    del pod["spec"]["volumes"], pod["spec"]["containers"][0]["volumeMounts"]
    pod["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    pod["spec"]["containers"][0]["command"][-1] = "import signal; signal.pause()"
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    return dict(pod)


@pytest.fixture(scope="session")
def restart() -> Callable[[], None]:
    """Starts the API server again, by the command that RESTART_API_SERVER names."""
    command = os.environ.get("RESTART_API_SERVER")
    if command is None:
        pytest.skip("RESTART_API_SERVER names no command that starts the API server again")
    return lambda: subprocess.run(shlex.split(command), check=True, timeout=120) and None


@pytest.fixture(scope="session")
def bundle(trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of every kind of model, each of which needs something else of an image."""
    from rampart.training.tabular import TabularTraining, fit_tabular

    folder = tmp_path_factory.mktemp("whole")
    fitted = fit_tabular(labelled(240, 4), labelled(120, 5), TabularTraining(rounds=30))
    fitted.save(folder / "tabular")
    models = trained_models | {"tabular": folder / "tabular"}
    return assembled(folder / "bundle", models, 2)


@pytest.fixture(scope="session")
def bundles(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small real bundles by name: two good ones, and one that calls nothing a threat."""
    return all_of(bundle, tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def service(site: Site, bundles: dict[str, Path]) -> Site:
    """The InferenceService of the overlay serves the first bundle."""
    site.copy(bundles["old"], "champion")
    site.serving("rampart")
    return site
