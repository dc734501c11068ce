"""The cluster that KUBECONFIG names, a namespace for each test, and kubectl."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Runs kubectl; `input` may be text or documents, `check` says whether it has to succeed."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("Set KUBECONFIG to a cluster that may be written to.", pytrace=False)
    program = shutil.which("kubectl")
    if program is None:
        pytest.fail("kubectl is not on PATH.", pytrace=False)

    def run(*words: str, input: object = None, check: bool = True, timeout: float = 120) -> Any:
        said = input if input is None or isinstance(input, str) else yaml.safe_dump_all(input)
        done = subprocess.run(
            [program, *words], input=said, capture_output=True, text=True, timeout=timeout
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A new namespace in which only restricted pods may be."""
    name = f"rampart-test-{secrets.token_hex(4)}"
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": RESTRICTED},
    }
    kubectl("create", "-f", "-", input=[document])
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def items(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What `-o json` said, one object or a list of them."""
    document = json.loads(done.stdout)
    return document["items"] if document["kind"] == "List" else [document]
