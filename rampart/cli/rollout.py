"""`rampart rollout`: a bundle behind KServe, step by step, from wherever KUBECONFIG reaches."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from rampart.cli.console import err, facts, out, print_json
from rampart.cli.data import Json

app = typer.Typer(
    help="Put a bundle behind KServe step by step, look how far it is, or take it back.",
    no_args_is_help=True,
)
Namespace = Annotated[str, typer.Option(help="Namespace of the servers.")]
Mode = Annotated[
    str,
    typer.Option(help="What splits traffic: graph or gateway in Standard mode, or knative."),
]
Context = Annotated[
    str | None, typer.Option(help="Context of KUBECONFIG; the current one if unset.")
]


@app.command()
def start(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle, for its own verdicts.")],
    storage_uri: Annotated[
        str, typer.Option(help="Where KServe reads the same bundle: pvc://, s3://, https://.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Name that clients ask under.")] = "rampart",
    namespace: Namespace = "rampart",
    mode: Mode = "graph",
    steps: Annotated[
        str, typer.Option(help="Percentages of the traffic, each held until its checks passed.")
    ] = "5,25,50,100",
    replicas: Annotated[int, typer.Option(help="Of the revision, at the least.")] = 1,
    max_replicas: Annotated[int, typer.Option(help="Of the revision, at the most.")] = 4,
    runtime: Annotated[
        str, typer.Option(help="The ServingRuntime; that of manifests/ for the mode if unset.")
    ] = "",
    service_account: Annotated[str, typer.Option(help="Of the servers' pods.")] = "rampart-serving",
    storage_container: Annotated[
        str, typer.Option(help="ClusterStorageContainer that fetches a bundle not on a volume.")
    ] = "rampart",
    watch_seconds: Annotated[
        float, typer.Option(help="Seconds that it is watched at each step.")
    ] = 60.0,
    ready_seconds: Annotated[float, typer.Option(help="Seconds that it may take to be ready.")] = (
        600.0
    ),
    examples: Annotated[
        Path | None,
        typer.Option(help='Lines {"text": ..., "threat": true or false} that it is asked.'),
    ] = None,
    gateway: Annotated[
        str, typer.Option(help="NAMESPACE/NAME of the Gateway, for gateway.")
    ] = "kserve/kserve-ingress-gateway",
    hostname: Annotated[str, typer.Option(help="Of the route, for gateway.")] = "",
    context: Context = None,
    as_json: Json = False,
) -> None:
    """Roll a bundle out; at the first failure all traffic goes back to the revision before it.

    Broken off and started again it goes on from what the cluster says.
    """
    from rampart.bundle.store import verify
    from rollout.asking import transport
    from rollout.checks import golden
    from rollout.cluster import Cluster
    from rollout.examples import OWN, read_examples
    from rollout.plan import Checks, planned
    from rollout.run import roll_out

    plan = planned(
        name=name,
        namespace=namespace,
        storage_uri=storage_uri,
        bundle_id=verify(bundle).id,
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
    expected = golden(bundle, read_examples(examples or OWN))
    cluster = Cluster.configured(namespace, context)
    done = roll_out(plan, expected, cluster, transport(cluster), run=_who(), tell=err.print)
    found = {
        "revision": done.revision,
        "replaced": done.replaced,
        "seconds": round(done.seconds, 1),
        "changed": done.changed,
    }
    print_json(found) if as_json else out.print(facts(found))


@app.command()
def status(
    name: Annotated[str, typer.Argument(help="Name that clients ask under.")] = "rampart",
    *,
    namespace: Namespace = "rampart",
    mode: Mode = "graph",
    context: Context = None,
    as_json: Json = False,
) -> None:
    """Say which revision is stable, and which is on its way with what share of the traffic."""
    from rollout.cluster import Cluster
    from rollout.run import target_of

    state = target_of(name, mode, Cluster.configured(namespace, context)).state()
    found = {"stable": state.stable, "candidate": state.candidate, "percent": state.percent}
    print_json(found) if as_json else out.print(facts(found))


@app.command()
def back(
    name: Annotated[str, typer.Argument(help="Name that clients ask under.")] = "rampart",
    *,
    reason: Annotated[str, typer.Option(help="For the event that is left.")] = "taken back by hand",
    namespace: Namespace = "rampart",
    mode: Mode = "graph",
    context: Context = None,
) -> None:
    """Give all traffic to the stable revision; the candidate that is on its way goes."""
    from rollout.cluster import Cluster
    from rollout.run import roll_back, target_of

    cluster = Cluster.configured(namespace, context)
    state = roll_back(target_of(name, mode, cluster), reason, run=_who())
    out.print(f"{state.stable or 'Nothing'} has all traffic of {name}")


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}/{os.getpid()}"
