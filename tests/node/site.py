"""A namespace on a real node: Rampart's overlay in it, bundles on its claim, a pod that asks."""

from __future__ import annotations

import io
import json
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.conftest import Kubectl

HERE = Path(__file__).parent
PYTHON = "/opt/venv/bin/python"
CLIENT = "client"
_NEVER = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName")


@dataclass(frozen=True)
class Site:
    """What tests do in the namespace.

    Attributes:
        namespace: its name.
        kubectl: runs kubectl.
    """

    namespace: str
    kubectl: Kubectl

    def __call__(self, *words: str, **named: Any) -> subprocess.CompletedProcess[str]:
        """kubectl in the namespace."""
        done: subprocess.CompletedProcess[str] = self.kubectl("-n", self.namespace, *words, **named)
        return done

    def get(self, kind: str, *words: str) -> Any:
        """One object, or the items of a list."""
        document = json.loads(self("get", kind, *words, "-o", "json").stdout)
        return document["items"] if document["kind"].endswith("List") else document

    def apply(self, *documents: dict[str, Any]) -> None:
        """By server-side apply, strictly."""
        self("apply", "--server-side", "--validate=strict", "-f", "-", input=list(documents))

    def manifest(self, path: str) -> list[dict[str, Any]]:
        """The documents of one of the project's files."""
        text = (HERE.parents[1] / path).read_text(encoding="utf-8")
        return [document for document in yaml.safe_load_all(text) if document]

    def until(self, look: Any, what: str, seconds: float = 240) -> Any:
        """Wait for something true; says what the pods are where it does not come."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            states = self("get", "pods", "-o", "wide", check=False).stdout
            stuck = [word for word in _NEVER if word in states]
            assert not stuck, f"{stuck}: load the images into the node first\n{states}"
            if time.monotonic() > deadline:
                events = self("get", "events", "--sort-by=.lastTimestamp", check=False).stdout
                raise AssertionError(f"{what} did not come\n{states}\n{events[-3000:]}")
            time.sleep(1)
        return found

    def ready(self, selector: str, count: int = 1, seconds: float = 240) -> list[dict[str, Any]]:
        """The pods of a selector, once so many are ready and none is on its way in or out."""

        def look() -> list[dict[str, Any]] | None:
            pods = self.get("pods", "-l", selector)
            well = [pod for pod in pods if condition(pod, "Ready") == "True"]
            return pods if len(well) == len(pods) == count else None

        found: list[dict[str, Any]] = self.until(look, f"{count} of {selector}", seconds)
        return found

    def serving(self, name: str, seconds: float = 240) -> dict[str, Any]:
        """An InferenceService, once KServe and its pods say that it is ready."""

        def look() -> dict[str, Any] | None:
            service: dict[str, Any] = self.get("inferenceservice", name)
            pods = self.get("pods", "-l", f"serving.kserve.io/inferenceservice={name}")
            well = all(condition(pod, "Ready") == "True" for pod in pods)
            # Its observedGeneration is its Deployment's, and says nothing of what was applied.
            return service if condition(service, "Ready") == "True" and pods and well else None

        found: dict[str, Any] = self.until(look, f"the InferenceService {name}", seconds)
        return found

    def python(self, script: str, *words: str, pod: str = CLIENT, **named: Any) -> Any:
        """Run a file of this folder in a pod; what it printed last, as JSON."""
        text = (HERE / script).read_text(encoding="utf-8")
        told = self("exec", "-i", pod, "--", PYTHON, "-", *words, input=text, **named)
        return json.loads(told.stdout.splitlines()[-1])

    @contextmanager
    def asking(self, url: str, connections: int = 4) -> Iterator[dict[str, Any]]:
        """Ask all the time while the block runs; what came of it is in the dictionary after it."""
        name = secrets.token_hex(4)
        program = (HERE / "load.py").read_text(encoding="utf-8")
        found: dict[str, Any] = {}
        self.python("load.py", "start", name, program, url, str(connections))
        try:
            yield found
        finally:
            found.update(self.python("load.py", "stop", name))

    def predictor(self, name: str, uri: str, **more: Any) -> None:
        """An InferenceService with a predictor alone, as anybody would write it."""
        [service] = self.manifest("manifests/serving/inference-service.yaml")
        service["metadata"]["name"] = name
        service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] = "none"
        predictor = service["spec"]["predictor"]
        del predictor["model"]["runtime"]  # found by the format
        predictor["model"]["storageUri"] = uri
        service["spec"] = {"predictor": predictor | more}
        self.apply(service)

    def copy(self, bundle: Path, name: str) -> None:
        """Put a bundle on the claim, as docs/deploy.md does it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for part in sorted(bundle.iterdir()):
                archive.add(part, arcname=part.name)
        folder = f"/bundles/{name}"
        self("exec", "rampart-bundles", "--", "mkdir", "-p", folder)
        command = ["kubectl", "-n", self.namespace, "exec", "-i", "rampart-bundles", "--"]
        subprocess.run(
            [*command, "tar", "-xmC", folder],
            input=packed.getvalue(), check=True,
        )  # fmt: skip


def condition(document: dict[str, Any], kind: str) -> str:
    """The status of one condition; empty where it is not there."""
    for one in document.get("status", {}).get("conditions", ()):
        if one["type"] == kind:
            return str(one["status"])
    return ""
