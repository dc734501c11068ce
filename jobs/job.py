"""What a training job is, and what a cluster is told of it.

The documents are those of manifests/training, with a name, arguments and a size of their own:
tests compare the two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rampart import __version__
from rollout.kinds import Kind

PYTORCH_JOB = Kind("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob")
TRAIN_JOB = Kind("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob")
IMAGE = f"rampart-trainer:{__version__}"
# What the replicas share with whoever follows them, and where it is mounted.
CLAIM = "rampart-training"
DATA = "/data"
MARK = "rampart.io/training"
# What is given a line of what happens.
Tell = Callable[[str], None]
_LABELS = {"app.kubernetes.io/part-of": "rampart"}


class TrainingJob(BaseModel):
    """A job of so many pods, one process in each.

    Attributes:
        name: of the resource, and of the job's folder on the claim.
        kind: PyTorchJob of the Training Operator, or TrainJob of Trainer v2.
        processes: the master and its workers.
        arguments: of `rampart train`.
        image: that has Rampart with the extra `train`.
        cpu: cores that each pod asks for.
        memory: that each pod asks for, and half of what it may take.
        restarts: of each process, until the job has failed.
        deadline_seconds: after which the job has failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$")
    kind: Literal["PyTorchJob", "TrainJob"] = "PyTorchJob"
    processes: int = Field(default=2, ge=1, le=256)
    arguments: tuple[str, ...] = ()
    image: str = IMAGE
    cpu: str = "2"
    memory: str = "4Gi"
    restarts: int = Field(default=3, ge=0)
    deadline_seconds: int = Field(default=21_600, ge=1)

    @field_validator("memory")
    @classmethod
    def _in_bytes(cls, memory: str) -> str:
        if not re.fullmatch(r"[1-9]\d*(Mi|Gi)", memory):
            raise ValueError("write it as 4Gi or 512Mi")
        return memory

    @property
    def resource(self) -> Kind:
        """Its kind, as the API server has it."""
        return PYTORCH_JOB if self.kind == "PyTorchJob" else TRAIN_JOB

    @property
    def selector(self) -> str:
        """The labels of its pods."""
        label = (
            "training.kubeflow.org/job-name"
            if self.kind == "PyTorchJob"
            else "jobset.sigs.k8s.io/jobset-name"
        )
        return f"{label}={self.name}"

    @property
    def mark(self) -> str:
        """The same for the same job: what is there under its name is told from another's by it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:40]

    def document(self) -> dict[str, Any]:
        """What the API server is given."""
        spec = self._pytorch_job() if self.kind == "PyTorchJob" else self._train_job()
        meta = {"name": self.name, "labels": dict(_LABELS), "annotations": {MARK: self.mark}}
        return {"metadata": meta, "spec": spec}

    def _resources(self) -> dict[str, Any]:
        number, unit = int(self.memory[:-2]), self.memory[-2:]
        return {
            "requests": {"cpu": self.cpu, "memory": self.memory},
            "limits": {"memory": f"{2 * number}{unit}"},
        }

    def _pytorch_job(self) -> dict[str, Any]:
        replicas = {"Master": 1, "Worker": self.processes - 1}
        return {
            "nprocPerNode": "1",
            "runPolicy": {
                "cleanPodPolicy": "None",
                "ttlSecondsAfterFinished": 86_400,
                # Counted over all pods: where one is lost, the others start again too.
                "backoffLimit": self.restarts * self.processes,
                "activeDeadlineSeconds": self.deadline_seconds,
            },
            "pytorchReplicaSpecs": {
                role: {"replicas": count, "restartPolicy": "OnFailure", "template": self._pod()}
                for role, count in replicas.items()
                if count
            },
        }

    def _pod(self) -> dict[str, Any]:
        threads = max(1, int(float(self.cpu))) if self.cpu.replace(".", "").isdigit() else 1
        return {
            "metadata": {
                "labels": {"app.kubernetes.io/name": "rampart-training", **_LABELS},
                # A sidecar would keep a finished pod running.
                "annotations": {"sidecar.istio.io/inject": "false"},
            },
            "spec": {
                "serviceAccountName": "rampart-training",
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "runAsGroup": 10001,
                    "fsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "pytorch",
                        "image": self.image,
                        "command": ["/opt/venv/bin/python", "-m", "rampart.cli", "train"],
                        "args": list(self.arguments),
                        "env": [
                            {"name": "OMP_NUM_THREADS", "value": str(threads)},
                            # One process in each pod; the operator says nothing of it.
                            {"name": "LOCAL_RANK", "value": "0"},
                        ],
                        "resources": self._resources(),
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": "data", "mountPath": DATA},
                            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the pod's own
                        ],
                    }
                ],
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}},
                    {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
                ],
            },
        }

    def _train_job(self) -> dict[str, Any]:
        """Its pods are those of the runtime, whose claim and restarts they have."""
        return {
            "runtimeRef": {"kind": "TrainingRuntime", "name": "rampart-torch"},
            "trainer": {
                "numNodes": self.processes,
                "image": self.image,
                "args": list(self.arguments),
                "resourcesPerNode": self._resources(),
            },
        }
