"""Publishing a bundle from a real registry; the rollout itself has tests of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from kfp import dsl

from components.deploy.kserve import deploy
from components.deploy.publish import publish
from rampart.bundle.store import read_manifest, verify
from rampart.errors import InputError, UnknownModelError
from rampart.registry.connection import default_tracking_uri
from rampart.registry.registry import Registry
from tests.unit.components.conftest import Make

PROMOTED = SimpleNamespace(promote=True, alias="champion", reason="first", comparisons={})


@pytest.fixture
def tracking(bundle: Path, tmp_path: Path) -> str:
    uri = default_tracking_uri(tmp_path)
    Registry(uri).register(bundle, decision=PROMOTED)
    return uri


def test_the_champion_is_published_under_its_id(
    tracking: str, bundle: Path, tmp_path: Path, artifact: Make
) -> None:
    fetched = artifact(dsl.Model, "fetched")
    published = publish.python_func(
        tracking_uri=tracking,
        model_name="rampart",
        version="champion",
        destination=f"file://{tmp_path}/bundles/",
        storage="pvc://rampart-bundles",
        bundle=fetched,
    )
    own = read_manifest(bundle).id
    assert published == (own, f"pvc://rampart-bundles/{own}", 1)
    assert verify(tmp_path / "bundles" / own).id == own
    assert verify(Path(fetched.path)).id == own


def test_a_version_that_is_not_there_is_named(
    tracking: str, tmp_path: Path, artifact: Make
) -> None:
    with pytest.raises(UnknownModelError, match="no version 9"):
        publish.python_func(
            tracking_uri=tracking,
            model_name="rampart",
            version="9",
            destination=f"file://{tmp_path}/bundles",
            storage="",
            bundle=artifact(dsl.Model, "fetched"),
        )
    assert not (tmp_path / "bundles").exists()


def test_a_plan_that_cannot_be_is_refused_before_the_cluster_is_asked(
    tracking: str, bundle: Path, artifact: Make
) -> None:
    with pytest.raises(InputError, match="steps"):
        deploy.python_func(
            bundle=artifact(dsl.Model, "bundle"),
            bundle_id=read_manifest(bundle).id,
            storage_uri="pvc://a/b",
            version=1,
            name="mail",
            namespace="team",
            mode="graph",
            steps="50",
            replicas=1,
            max_replicas=1,
            runtime="",
            service_account="x",
            storage_container="",
            gateway="a/b",
            hostname="",
            watch_seconds=1.0,
            ready_seconds=1.0,
            examples="",
            tracking_uri=tracking,
            model_name="rampart",
            run="r",
        )
