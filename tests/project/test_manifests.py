"""What manifests and overlays hold, without a cluster: restricted pods, reasons, no drift."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.catalogue import NAMES
from pipelines.manifests import FOLDER, manifest
from rampart import __version__
from tests.cluster.resources import MANIFESTS, ROOT, Document, named, pod_specs, read
from tests.project.reach import PARTIES, allowed, policies, reached, table

KUSTOMIZE = sorted((ROOT / "kustomize").rglob("*.yaml"))
GENERATED = {FOLDER / f"{name}.yaml" for name in NAMES}
OURS = re.compile(r"^rampart-[a-z-]+:")


def _of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _documents() -> list[Document]:
    shipped = [path for path in (*MANIFESTS, *KUSTOMIZE) if path.name != "kustomization.yaml"]
    return [document for path in shipped for document in read(path)]


PODS = [
    (f"{named(document)}{place}", spec)
    for document in _documents()
    for place, spec in pod_specs(document)
]


@pytest.mark.parametrize("path", MANIFESTS, ids=_of)
def test_a_manifest_begins_with_what_it_is_for_and_what_to_change(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    head = path.read_text(encoding="utf-8").partition("apiVersion")[0]
    assert "hange" in head or path in {ROOT / "manifests/training/service-account.yaml"} | {
        ROOT / "manifests/serving/service-account.yaml"
    }


@pytest.mark.parametrize("path", KUSTOMIZE, ids=_of)
def test_every_patch_says_why(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith("- target:"):
            above = lines[number - 1].strip()
            assert above.startswith("#"), f"{path}:{number + 1}"


@pytest.mark.parametrize(("place", "spec"), PODS, ids=[place for place, _ in PODS])
def test_a_pod_is_restricted(place: str, spec: Document) -> None:
    """As the restricted Pod Security Standard has it, and its root file system read-only."""
    pod = spec.get("securityContext", {})
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert all("hostPath" not in volume for volume in spec.get("volumes", ()))
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        own = container.get("securityContext", {})
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert (own | pod)["runAsNonRoot"] is True or own["runAsNonRoot"] is True
        assert {**pod, **own}["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {**pod, **own}["runAsUser"] > 0


@pytest.mark.parametrize(("place", "spec"), PODS, ids=[place for place, _ in PODS])
def test_a_pod_gets_no_token_asks_for_what_it_takes_and_has_a_limit(
    place: str, spec: Document
) -> None:
    runtime = place.startswith("ServingRuntime")
    assert runtime or spec["automountServiceAccountToken"] is False
    for container in spec["containers"]:
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"])
        assert "memory" in resources["limits"]


def _bake() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "images/docker-bake.json").read_text())
    return document


def test_images_are_those_that_are_built_at_the_version_of_the_code() -> None:
    built = {
        tag.replace("${VERSION}", __version__)
        for target in _bake()["target"].values()
        for tag in target.get("tags", ())
    }
    used = {
        container["image"]
        for _, spec in PODS
        for container in spec["containers"]
        if OURS.match(container["image"])
    }
    assert used <= built
    assert _bake()["variable"]["VERSION"]["default"] == __version__


def test_each_image_has_a_lock_and_a_stage() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "images/Dockerfile").read_text(), re.M)
    for name, target in _bake()["target"].items():
        if "tags" in target:
            assert target["target"] in stages, name
            # What is no environment of Python's is made of a folder of its own.
            assert (
                target.get("contexts")
                or (ROOT / "requirements" / f"{target['args']['LOCK']}.txt").is_file()
            )


def test_no_image_runs_as_root_or_through_a_shell() -> None:
    text = (ROOT / "images/Dockerfile").read_text()
    for line in text.splitlines():
        if line.startswith("ENTRYPOINT"):
            program = json.loads(line.removeprefix("ENTRYPOINT "))[0]
            assert program.startswith("/opt/venv/bin/") or program == "/usr/bin/java"
    assert {line.split()[1] for line in text.splitlines() if line.startswith("USER")} == {
        "10001:10001"
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_and_its_manifest_say_the_same(name: str) -> None:
    written = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert written == manifest(name), "run `make manifests` and commit what it writes"


def test_a_pipeline_is_what_kubeflow_pipelines_own_schema_takes() -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    for path in GENERATED:
        for document in read(path):
            if document["kind"] == "PipelineVersion":
                spec = document["spec"]["pipelineSpec"]
                parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
                assert parsed.pipeline_info.name == document["spec"]["pipelineName"]


def test_secrets_are_named_and_none_is_there() -> None:
    for document in _documents():
        assert document["kind"] != "Secret"
        assert not re.search(r"(?i)(password|secret[_-]key)\s*[:=]\s*['\"]?[A-Za-z0-9+/]{8,}",
                             yaml.safe_dump(document, width=1000))  # fmt: skip


def test_the_documents_table_of_who_reaches_whom_is_computed_from_the_policies() -> None:
    assert table() in (ROOT / "docs/deploy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["any other pod", "another namespace"])
def test_whoever_is_not_named_reaches_nothing(name: str) -> None:
    assert not any(dict(reached())[name].values())


def test_a_policy_less_lets_more_through() -> None:
    """So that the table can be wrong."""
    by_name = {party.name: party for party in PARTIES}
    ends = by_name["any other pod"], by_name["postgres"], ("TCP", 5432)
    closing = {"rampart-nothing", "rampart-names", "rampart-postgres"}
    assert not allowed(policies(), *ends)
    assert allowed([one for one in policies() if one["metadata"]["name"] not in closing], *ends)
