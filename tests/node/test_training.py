"""A PyTorchJob through the real Training Operator: two pods train an encoder, its bundle serves."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rampart.bundle.store import read_manifest
from tests.conftest import mails, split_table
from tests.integration.serving.conftest import question
from tests.node.conftest import ROOT
from tests.node.site import Site, condition
from tests.node.test_serving import URL, ask, assert_the_bundles_verdicts, serve

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]
OPERATOR = ("-n", "kubeflow")
JOB = "rampart-training"


@pytest.fixture(scope="module")
def operator(site: Site) -> Iterator[None]:
    """The Training Operator, whose workers' init container is restricted as ours are."""
    folder = ROOT / "cluster" / "training-operator"
    if "pytorchjobs.kubeflow.org" not in site.kubectl("get", "crd", "-o", "name").stdout:
        pytest.fail("The cluster of KUBECONFIG has no Training Operator.", pytrace=False)
    deployment = ("deployment", "training-operator")
    site.kubectl("apply", "--server-side", "-f", str(folder / "init-container.yaml"))
    site.kubectl(*OPERATOR, "patch", *deployment, "--patch-file", str(folder / "patch.yaml"))
    site.kubectl(*OPERATOR, "rollout", "status", "/".join(deployment), "--timeout=100s")
    yield
    site.kubectl(*OPERATOR, "rollout", "undo", "/".join(deployment))
    site.kubectl(*OPERATOR, "delete", "configmap", "rampart-init-container")


@pytest.fixture(scope="module")
def table(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A split table on the job's claim, put there as a bundle is put on the other."""
    [pod] = yaml.safe_load_all((ROOT / "manifests/bundles/bundles-pod.yaml").read_text())
    pod["metadata"]["name"] = "rampart-data"
    pod["spec"]["containers"][0]["command"][-1] = "import signal; signal.pause()"
    pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = "rampart-training"
    site.apply(pod)
    site("wait", "--for=condition=Ready", "--timeout=100s", "pod/rampart-data")
    path = split_table(tmp_path_factory.mktemp("table") / "split.parquet")
    command = ["kubectl", "-n", site.namespace, "exec", "-i", "rampart-data", "--"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(path, arcname=path.name)
    subprocess.run([*command, "tar", "-xmC", "/bundles"], input=packed.getvalue(), check=True)
    return path.name


def _job() -> dict[str, Any]:
    """The project's manifest, small enough for a node of two cores and a test."""
    text = (ROOT / "manifests/training/pytorch-job.yaml").read_text(encoding="utf-8")
    [job] = yaml.safe_load_all(text)
    for replica in job["spec"]["pytorchReplicaSpecs"].values():
        [container] = replica["template"]["spec"]["containers"]
        container["args"] += ["--bundle=/bundles/trained", "--tokens=32", "--tail=8"]
        container["args"] += ["--epochs=1", "--attribution-texts=0", "--json"]
        container["resources"] = {"requests": {"cpu": "100m", "memory": "1Gi"}}
        container["env"][0]["value"] = "1"
    return dict(json.loads(json.dumps(job)))


def test_two_pods_train_a_bundle_that_then_serves(
    service: Site, operator: None, table: str, tmp_path: Path
) -> None:
    site = service
    site.apply(_job())

    def ended() -> bool:
        job = site.get("pytorchjob", JOB)
        logs = site("logs", "-l", f"training.kubeflow.org/job-name={JOB}", "--tail=40", check=False)
        assert condition(job, "Failed") != "True", logs.stdout + logs.stderr
        return condition(job, "Succeeded") == "True"

    site.until(ended, "the job's end", seconds=1200)
    pods = site.get("pods", "-l", f"training.kubeflow.org/job-name={JOB}")
    roles = {pod["metadata"]["labels"]["training.kubeflow.org/replica-type"] for pod in pods}
    assert roles == {"master", "worker"}
    assert {pod["status"]["phase"] for pod in pods} == {"Succeeded"}

    packed = subprocess.run(
        ["kubectl", "-n", site.namespace, "exec", "rampart-bundles", "--",
         "tar", "-cC", "/bundles/trained", "."],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    assert read_manifest(tmp_path).parameters["processes"] == "2"

    serve(site, "pvc://rampart-bundles/trained")
    texts = mails(20, seed=9)[0]
    answer = ask(site, URL, question(texts))
    serve(site, "pvc://rampart-bundles/champion")
    assert_the_bundles_verdicts(answer, tmp_path, texts)
