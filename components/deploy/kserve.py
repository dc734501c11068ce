"""Put a published bundle behind KServe, step by step."""

from typing import NamedTuple

from kfp import dsl

from components.definition import component


@component
def deploy(
    bundle: dsl.Input[dsl.Model],
    bundle_id: str,
    storage_uri: str,
    version: int,
    name: str,
    namespace: str,
    mode: str,
    steps: str,
    replicas: int,
    max_replicas: int,
    runtime: str,
    service_account: str,
    storage_container: str,
    gateway: str,
    hostname: str,
    watch_seconds: float,
    ready_seconds: float,
    examples: str,
    tracking_uri: str,
    model_name: str,
    run: str,
) -> NamedTuple("Deployed", [("revision", str), ("replaced", str), ("seconds", float)]):  # type: ignore[valid-type]
    """Roll a bundle out; at the first failure the revision before it has all traffic again.

    Args:
        bundle: the bundle itself, for its own verdicts.
        bundle_id: of it.
        storage_uri: where KServe reads it.
        version: its number in the registry, where the outcome is noted.
        name: that clients ask under.
        namespace: of the servers; empty for this pod's own.
        mode: graph, gateway or knative.
        steps: percentages of the traffic with commas between them, up to 100.
        replicas: of the revision, at the least.
        max_replicas: of it, at the most.
        runtime: the ServingRuntime; that of manifests/ for the mode if empty.
        service_account: of the servers' pods.
        storage_container: the ClusterStorageContainer that fetches a bundle not on a volume.
        gateway: NAMESPACE/NAME of the Gateway, for gateway.
        hostname: of the route, for gateway.
        watch_seconds: that it is watched at each step.
        ready_seconds: that it may take to be ready.
        examples: file of lines {"text", "threat"} that it is asked; empty for those that come with
            Rampart.
        tracking_uri: of MLflow; empty for MLFLOW_TRACKING_URI.
        model_name: the registered model's.
        run: what the rollout is held by: the pipeline run's id.

    Returns:
        The revision that serves, the one it replaced, and how long it took.
    """
    from collections import namedtuple
    from pathlib import Path

    from rampart.errors import RolloutError
    from rampart.registry.registry import Registry
    from rampart.settings import tracking_address
    from rollout.asking import transport
    from rollout.checks import golden
    from rollout.cluster import Cluster, own_namespace
    from rollout.examples import OWN, read_examples
    from rollout.plan import Checks, planned
    from rollout.run import roll_out

    def tell(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - the step's log

    registry = Registry(tracking_address(tracking_uri), name=model_name)
    plan = planned(
        name=name,
        namespace=namespace or own_namespace(),
        storage_uri=storage_uri,
        bundle_id=bundle_id,
        mode=mode,
        steps=steps,
        replicas=replicas,
        max_replicas=max_replicas,
        runtime=runtime,
        service_account=service_account,
        storage_container=storage_container,
        gateway=gateway,
        hostname=hostname,
        checks=Checks(watch_seconds=watch_seconds, ready_seconds=ready_seconds),
    )
    cluster = Cluster.configured(plan.namespace)
    expected = golden(Path(bundle.path), read_examples(Path(examples) if examples else OWN))
    way = transport(cluster)
    try:
        done = roll_out(plan, expected, cluster, way, run=run, tell=tell)
    except RolloutError as error:
        registry.note(version, {"rollout": f"failed: {error}"})
        raise
    registry.note(version, {"rollout": f"serves as {name} in {plan.namespace}"})
    Deployed = namedtuple("Deployed", ["revision", "replaced", "seconds"])
    return Deployed(done.revision, done.replaced or "", done.seconds)
