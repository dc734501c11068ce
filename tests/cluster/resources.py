"""What the repository ships for a cluster, read: manifests, and what the overlays render."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted(
    path for path in (ROOT / "manifests").rglob("*.yaml") if path.name != "kustomization.yaml"
)
OVERLAYS = sorted(
    path.parent for path in (ROOT / "kustomize/overlays").glob("*/kustomization.yaml")
)
COMPONENTS = sorted(
    path.parent for path in (ROOT / "kustomize/components").glob("*/kustomization.yaml")
)
GOLDEN = Path(__file__).with_name("golden")
Document = dict[str, Any]


def read(path: Path) -> list[Document]:
    """The documents of a file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


@cache
def rendered(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder; it asks no server."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(folder: Path) -> list[Document]:
    """The same, read."""
    return [one for one in yaml.safe_load_all(rendered(folder)) if one]


def reviewed(folder: Path) -> str:
    """An overlay as its golden file has it: all but pipelines, which have files of their own."""
    found = documents(folder)
    for document in found:
        if document["kind"] == "PipelineVersion":
            document["spec"]["pipelineSpec"] = "as in manifests/pipelines"
    return yaml.safe_dump_all(found, sort_keys=True, width=100)


def pod_specs(document: Any, path: str = "") -> Iterator[tuple[str, Document]]:
    """Every part of a document that is a pod's spec, with its place: it holds containers."""
    if isinstance(document, dict):
        if isinstance(document.get("containers"), list):
            yield path, document
        for key, value in document.items():
            if key not in {"pipelineSpec", "platformSpec"}:
                yield from pod_specs(value, f"{path}.{key}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from pod_specs(value, f"{path}[{place}]")


def named(document: Document) -> str:
    """Kind and name."""
    return f"{document['kind']}/{document['metadata']['name']}"


def versions() -> dict[str, str]:
    """What `make cluster` installs, by name."""
    lines = (ROOT / "cluster" / "versions").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
