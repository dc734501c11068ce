"""Put a registered bundle where KServe reads it."""

from typing import NamedTuple

from kfp import dsl

from components.definition import component


@component
def publish(
    tracking_uri: str,
    model_name: str,
    version: str,
    destination: str,
    storage: str,
    bundle: dsl.Output[dsl.Model],
) -> NamedTuple("Published", [("bundle_id", str), ("storage_uri", str), ("version", int)]):  # type: ignore[valid-type]
    """Fetch a version from the registry, check it, and copy it to an address of its own.

    Args:
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
        version: its number or alias.
        destination: what bundles lie under, such as s3://bucket/bundles; each goes to a folder
            named by its id.
        storage: the same place as KServe's storageUri has it, where that differs, such as
            pvc://rampart-bundles for file:///bundles; empty for the destination.
        bundle: the same here, for the rollout's checks.

    Returns:
        The bundle's id, its storageUri, and the version's number.
    """
    from collections import namedtuple
    from pathlib import Path

    from components.progress import tell
    from rampart.bundle.remote import RemoteBundle
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address

    registry = Registry(tracking_address(tracking_uri), name=model_name)
    found = registry.version(version)
    folder = Path(bundle.path)
    registry.fetch(found.number, folder)
    address = f"{destination.rstrip('/')}/{found.bundle_id}"
    manifest = RemoteBundle(address).publish(folder, tell)
    bundle.metadata.update(id=manifest.id, address=address)
    Published = namedtuple("Published", ["bundle_id", "storage_uri", "version"])
    place = f"{(storage or destination).rstrip('/')}/{manifest.id}"
    return Published(manifest.id, place, found.number)
