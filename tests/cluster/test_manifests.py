"""A real API server accepts every manifest and overlay, and a second time changes nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import Kubectl, items
from tests.cluster.resources import (
    COMPONENTS,
    GOLDEN,
    MANIFESTS,
    OVERLAYS,
    ROOT,
    Document,
    documents,
    read,
    reviewed,
    versions,
)

pytestmark = pytest.mark.cluster
STRICT = ("apply", "--server-side", "--validate=strict", "--field-manager=test", "-f", "-")


def _kinds() -> dict[str, Document]:
    """An example of each kind that is shipped."""
    found = {}
    for path in MANIFESTS:
        found |= {document["kind"]: document for document in read(path)}
    for folder in OVERLAYS:
        found |= {document["kind"]: document for document in documents(folder)}
    found.pop("Namespace")
    return found


KINDS = _kinds()


def _twice(kubectl: Kubectl, given: list[Document], *where: str) -> None:
    """Apply, and apply again: what is asked for stays the same, object by object."""
    first = items(kubectl(*STRICT, *where, "-o", "json", input=given))
    again = items(kubectl(*STRICT, *where, "-o", "json", input=given))
    assert len(first) == len(given)
    assert [_asked(one) for one in first] == [_asked(one) for one in again]


def _asked(document: Document) -> Document:
    """An object without what controllers write meanwhile."""
    metadata = {
        key: value
        for key, value in document["metadata"].items()
        if key not in {"resourceVersion", "managedFields", "annotations", "finalizers"}
    }
    rest = {key: value for key, value in document.items() if key != "status"}
    return rest | {"metadata": metadata}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_manifest_is_accepted_and_applied_again_changes_nothing(
    kubectl: Kubectl, namespace: str, path: Path
) -> None:
    _twice(kubectl, read(path), "--namespace", namespace)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: folder.name)
def test_an_overlay_is_accepted_and_applied_again_changes_nothing(
    kubectl: Kubectl, namespace: str, folder: Path
) -> None:
    whole = yaml.safe_dump_all(documents(folder)).replace(
        "namespace: rampart\n", f"namespace: {namespace}\n"
    )
    given = [one for one in yaml.safe_load_all(whole) if one["kind"] != "Namespace"]
    _twice(kubectl, given, "--namespace", namespace)
    [own] = [one for one in documents(folder) if one["kind"] == "Namespace"]
    kubectl(*STRICT, "--dry-run=server", input=[own])


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: folder.name)
def test_an_overlay_renders_what_was_reviewed(folder: Path) -> None:
    """`python -m tests.cluster.golden` writes the files anew; read the difference before."""
    golden = GOLDEN / f"{folder.name}.yaml"
    assert reviewed(folder) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", COMPONENTS, ids=lambda folder: folder.name)
def test_each_component_goes_with_the_base(kubectl: Kubectl, namespace: str, folder: Path) -> None:
    # kustomize takes no absolute paths, so that a folder beside the others is needed.
    trial = ROOT / "build" / "kustomize" / namespace
    trial.mkdir(parents=True)
    up = "../../.."
    (trial / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "namespace": namespace,
                "resources": [f"{up}/kustomize/base"],
                "components": [f"{up}/{folder.relative_to(ROOT)}"],
            }
        )
    )
    _twice(kubectl, documents(trial), "--namespace", namespace)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_field_that_is_not_there_is_refused(kubectl: Kubectl, namespace: str, kind: str) -> None:
    """So that being accepted means something."""
    wrong = copy.deepcopy(KINDS[kind])
    wrong["metadata"].pop("namespace", None)
    wrong["noSuchField"] = True
    refused = kubectl(
        *STRICT, "--dry-run=server", "--namespace", namespace, input=[wrong], check=False
    )
    assert refused.returncode != 0
    assert "noSuchField" in refused.stderr


# ScheduledWorkflow's definition keeps whatever is in its spec.
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"ScheduledWorkflow"}))
def test_a_value_of_the_wrong_type_is_refused(kubectl: Kubectl, namespace: str, kind: str) -> None:
    wrong: Any = copy.deepcopy(KINDS[kind])
    wrong["metadata"].pop("namespace", None)
    part = next(
        key
        for key in ("spec", "rules", "roleRef", "automountServiceAccountToken", "secrets")
        if key in wrong
    )
    wrong[part] = "text"
    refused = kubectl(
        *STRICT, "--dry-run=server", "--namespace", namespace, input=[wrong], check=False
    )
    assert refused.returncode != 0


@pytest.mark.parametrize(
    ("account", "verb", "resource", "may"),
    [
        ("rampart-pipeline", "patch", "inferenceservices.serving.kserve.io", True),
        ("rampart-pipeline", "create", "pytorchjobs.kubeflow.org", True),
        ("rampart-pipeline", "get", "secrets", False),
        ("rampart-pipeline", "create", "pods", False),
        ("rampart-pipeline", "create", "pods/exec", False),
        ("rampart-pipeline", "patch", "clusterservingruntimes.serving.kserve.io", False),
        ("rampart-pipeline", "create", "rolebindings.rbac.authorization.k8s.io", False),
        ("rampart-serving", "get", "pods", False),
        ("rampart-serving", "get", "secrets", False),
        ("rampart-training", "get", "secrets", False),
        ("rampart-training", "create", "pods", False),
    ],
)
def test_an_account_may_do_what_it_is_for_and_nothing_else(
    kubectl: Kubectl, namespace: str, account: str, verb: str, resource: str, may: bool
) -> None:
    for path in ("pipelines/access.yaml", "serving/service-account.yaml"):
        kubectl("apply", "-f", str(ROOT / "manifests" / path), "--namespace", namespace)
    given = items(kubectl("get", "rolebindings", "--namespace", namespace, "-o", "json"))
    assert {one["subjects"][0]["name"] for one in given} == {"rampart-pipeline"}
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    said = kubectl("auth", "can-i", verb, resource, who, "--namespace", namespace, check=False)
    assert said.stdout.strip() == ("yes" if may else "no")
    elsewhere = kubectl("auth", "can-i", verb, resource, who, "-n", "default", check=False)
    assert elsewhere.stdout.strip() == "no"


def test_the_cluster_has_the_versions_that_are_pinned(kubectl: Kubectl) -> None:
    """As far as the API server and the definitions say theirs; patches of Kubernetes may differ."""
    pinned = versions()
    server = json.loads(kubectl("version", "-o", "json").stdout)["serverVersion"]
    assert [server["major"], server["minor"].rstrip("+")] == pinned["KUBERNETES"].split(".")[:2]
    routes = json.loads(
        kubectl("get", "crd", "httproutes.gateway.networking.k8s.io", "-o", "json").stdout
    )
    noted = routes["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"]
    assert noted == f"v{pinned['GATEWAY_API']}"
    [storage] = read(ROOT / "manifests/serving/storage-container.yaml")
    assert storage["spec"]["container"]["image"].endswith(f":v{pinned['KSERVE']}")
