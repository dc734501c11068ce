"""A training job's documents are those of manifests/training, with names and sizes of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from jobs.job import TrainingJob

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests" / "training"


def _written(name: str) -> dict[str, Any]:
    [document] = yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8"))
    return dict(json.loads(json.dumps(document)))  # what YAML shares is told apart


def test_a_pytorch_job_is_what_the_manifest_says_but_for_what_it_trains() -> None:
    written = _written("pytorch-job.yaml")["spec"]
    made = TrainingJob(name="one", processes=2).document()["spec"]
    for role in ("Master", "Worker"):
        there, here = (
            spec["pytorchReplicaSpecs"][role]["template"]["spec"] for spec in (written, made)
        )
        [manifest], [container] = there.pop("containers"), here.pop("containers")
        for one in (manifest, container):
            del one["args"]
        # The image's entry point, said again: any image with Rampart in it will do.
        del container["command"]
        # A bundle of its own goes to the claim of the data.
        for one in (manifest["volumeMounts"], there["volumes"]):
            one[:] = [each for each in one if each["name"] != "bundles"]
        assert container == manifest
        assert here == there
        both = [spec["pytorchReplicaSpecs"][role] for spec in (written, made)]
        assert both[0]["template"]["metadata"] == both[1]["template"]["metadata"]
        assert both[0]["restartPolicy"] == both[1]["restartPolicy"]
    for spec in (written, made):
        del spec["pytorchReplicaSpecs"], spec["runPolicy"]["backoffLimit"]
    assert made == written


def test_a_train_job_is_what_the_manifest_says_but_for_what_it_trains() -> None:
    written = _written("train-job.yaml")["spec"]
    made = TrainingJob(name="one", kind="TrainJob", processes=2).document()["spec"]
    for spec in (written, made):
        del spec["trainer"]["args"]
    assert made["trainer"].pop("image")
    assert made == written


@pytest.mark.parametrize("processes", [1, 3])
def test_there_is_one_master_and_the_others_are_workers(processes: int) -> None:
    replicas = TrainingJob(name="one", processes=processes).document()["spec"][
        "pytorchReplicaSpecs"
    ]
    counts = {role: spec["replicas"] for role, spec in replicas.items()}
    assert counts == ({"Master": 1, "Worker": 2} if processes == 3 else {"Master": 1})


def test_every_process_may_be_started_again_so_often() -> None:
    spec = TrainingJob(name="one", processes=3, restarts=2).document()["spec"]
    assert spec["runPolicy"]["backoffLimit"] == 6


def test_the_same_job_has_the_same_mark_and_another_another() -> None:
    job = TrainingJob(name="one", arguments=("--seed=1",))
    assert job.mark == TrainingJob(name="one", arguments=("--seed=1",)).mark
    assert job.mark != TrainingJob(name="one", arguments=("--seed=2",)).mark


@pytest.mark.parametrize(
    "given",
    [{"name": "Not_A_Name"}, {"memory": "4G"}, {"processes": 0}, {"kind": "Job"}, {"restarts": -1}],
    ids=str,
)
def test_what_no_job_can_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingJob(**{"name": "one"} | given)
