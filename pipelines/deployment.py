"""From a registered version to a revision that has all of the traffic."""

from typing import NamedTuple

from kfp import dsl

from components.deploy.kserve import deploy
from components.deploy.publish import publish


class Deployed(NamedTuple):
    """What the pipeline leaves: the revision that serves, and the one before it."""

    revision: str
    replaced: str


@dsl.pipeline(
    name="rampart-deployment",
    description="Publish a registered bundle and roll it out behind KServe, step by step.",
)
def deployment(
    version: str = "champion",
    destination: str = "s3://rampart/bundles",
    storage: str = "",
    name: str = "rampart",
    namespace: str = "",
    mode: str = "graph",
    steps: str = "5,25,50,100",
    replicas: int = 1,
    max_replicas: int = 4,
    runtime: str = "",
    service_account: str = "rampart-serving",
    storage_container: str = "rampart",
    gateway: str = "kserve/kserve-ingress-gateway",
    hostname: str = "",
    watch_seconds: float = 60.0,
    ready_seconds: float = 600.0,
    examples: str = "",
    tracking_uri: str = "",
    model_name: str = "rampart",
) -> Deployed:
    """Put a version behind KServe.

    Args:
        version: number or alias in the registry.
        destination: what bundles lie under, as fsspec names it.
        storage: the same as KServe's storageUri has it, where that differs.
        name: that clients ask under.
        namespace: of the servers; empty for that of the run.
        mode: graph and gateway split traffic in Standard mode, knative in Knative mode.
        steps: percentages of the traffic, up to 100.
        replicas: of the revision, at the least.
        max_replicas: of it, at the most.
        runtime: the ServingRuntime; that of manifests/ for the mode if empty.
        service_account: of the servers' pods.
        storage_container: the ClusterStorageContainer that fetches a bundle not on a volume.
        gateway: NAMESPACE/NAME of the Gateway, for gateway.
        hostname: of the route, for gateway.
        watch_seconds: that it is watched at each step.
        ready_seconds: that it may take to be ready.
        examples: file of lines {"text", "threat"} that it is asked; empty for Rampart's own.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
    """
    published = publish(
        tracking_uri=tracking_uri,
        model_name=model_name,
        version=version,
        destination=destination,
        storage=storage,
    ).set_caching_options(enable_caching=False)
    deployed = deploy(
        bundle=published.outputs["bundle"],
        bundle_id=published.outputs["bundle_id"],
        storage_uri=published.outputs["storage_uri"],
        version=published.outputs["version"],
        name=name,
        namespace=namespace,
        mode=mode,
        steps=steps,
        replicas=replicas,
        max_replicas=max_replicas,
        runtime=runtime,
        service_account=service_account,
        storage_container=storage_container,
        gateway=gateway,
        hostname=hostname,
        watch_seconds=watch_seconds,
        ready_seconds=ready_seconds,
        examples=examples,
        tracking_uri=tracking_uri,
        model_name=model_name,
        run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    ).set_caching_options(enable_caching=False)
    return Deployed(revision=deployed.outputs["revision"], replaced=deployed.outputs["replaced"])
