"""`rampart pipeline`: run here, compile for a cluster, submit to one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rampart.cli.console import columns, err, facts, out, print_json
from rampart.cli.data import URI_HELP, Json
from rampart.cli.steps import Steps
from rampart.errors import InputError
from rampart.settings import settings

app = typer.Typer(
    help="Run a pipeline here, compile it for Kubeflow, or submit it.", no_args_is_help=True
)

Name = Annotated[
    str, typer.Argument(help="Name of the pipeline: training, distributed, tuning or deployment.")
]
Data = Annotated[str, typer.Option(help=URI_HELP)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One of the parameters that `rampart pipeline describe` lists; may be repeated.",
    ),
]
ROOT = Path("build/pipeline")
# Pipelines that begin with a source.
_ON_DATA = frozenset({"training", "distributed", "tuning"})


@app.command()
def describe(name: Name, *, as_json: Json = False) -> None:
    """List a pipeline's parameters and their defaults."""
    from pipelines.catalogue import parameters

    known = parameters(name)
    if as_json:
        print_json([vars(parameter) for parameter in known])
        return
    table = columns(None, "parameter", "default", "")
    for parameter in known:
        table.add_row(parameter.name, repr(parameter.default), parameter.description)
    out.print(table)


@app.command()
def run(
    name: Name,
    *,
    data: Data = "spam-assassin",
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column with the labels.")] = "label",
    set_: Set = None,
    root: Annotated[Path, typer.Option(help="Folder for outputs, cache, log and registry.")] = ROOT,
    bundle: Annotated[Path | None, typer.Option(help="Copy the bundle there as well.")] = None,
    as_json: Json = False,
) -> None:
    """Run a pipeline on this machine, each step in a process of its own.

    Broken off and started again, it goes on from what was done. Steps whose code, parameters and
    data have not changed are not run again.
    """
    given = parameters_of(set_)
    if name in _ON_DATA:
        given |= {"uri": data, "text_column": text_column, "label_column": label_column}
    outputs = run_here(name, given, root, bundle)
    if as_json:
        print_json(outputs)
        return
    out.print(facts(outputs))


@app.command("compile")
def compile_(
    name: Name,
    *,
    output: Annotated[
        Path | None, typer.Option(help="File to write; build/pipelines/NAME.yaml by default.")
    ] = None,
    kubernetes: Annotated[
        bool,
        typer.Option("--kubernetes", help="As resources for `kubectl apply`, not for the UI."),
    ] = False,
) -> None:
    """Write a pipeline as the YAML that Kubeflow Pipelines takes."""
    from pipelines.catalogue import compile_pipeline

    path = output or Path("build/pipelines") / f"{name}.yaml"
    written = compile_pipeline(name, path, kubernetes=kubernetes)
    out.print(str(written))


@app.command()
def submit(
    name: Name,
    *,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of Kubeflow Pipelines; RAMPART_KFP_ENDPOINT.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the run; RAMPART_KFP_NAMESPACE.")
    ] = None,
    experiment: Annotated[str, typer.Option(help="Experiment that the run goes to.")] = "rampart",
    service_account: Annotated[
        str | None, typer.Option(help="Account that steps run as, such as rampart-pipeline.")
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option(help='Run again and again: seconds first, "0 0 2 * * 0" is Sundays at two.'),
    ] = None,
    caching: Annotated[
        bool, typer.Option(help="Whether steps may be answered from former runs.")
    ] = True,
    alerts: Annotated[
        str, typer.Option(help="Address of an Alertmanager that is told where the run fails.")
    ] = "",
    node_selector: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Label of the nodes to run on; may be repeated."),
    ] = None,
    data: Data = "spam-assassin",
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Submit a pipeline to Kubeflow Pipelines; a token is read from RAMPART_KFP_TOKEN."""
    from pipelines.catalogue import arguments
    from pipelines.submission import submit as send
    from rampart.data.sources import fingerprint

    address = endpoint or settings().kfp_endpoint
    if not address:
        raise InputError(
            "There is no address of Kubeflow Pipelines.",
            "Give --endpoint, or set RAMPART_KFP_ENDPOINT.",
        )
    given = parameters_of(set_)
    if name in _ON_DATA:
        given = {"fingerprint": fingerprint(data)} | given | {"uri": data}
    run_id = send(
        name,
        arguments(name, given) | {"alerts": alerts},
        endpoint=address,
        namespace=namespace or settings().kfp_namespace,
        experiment=experiment,
        token=settings().kfp_token,
        service_account=service_account,
        cron=cron,
        caching=caching,
        node_selector=parameters_of(node_selector),
    )
    if as_json:
        print_json({"run_id": run_id, "endpoint": address})
        return
    kind = "Run" if cron is None else "Recurring run"
    out.print(f"{kind} {run_id} in the experiment {experiment} at {address}")


def parameters_of(texts: list[str] | None) -> dict[str, str]:
    """NAME=VALUE texts as a mapping.

    Raises:
        InputError: one of them has no "=".
    """
    given = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"{text!r} has no value.", "Write NAME=VALUE.")
        given[key.strip()] = value
    return given


def run_here(
    name: str, given: dict[str, str], root: Path, bundle: Path | None = None
) -> dict[str, Any]:
    """Run a pipeline with its progress shown; the bundle is copied to `bundle` if that is given.

    Raises:
        BundleError: `bundle` is there and is no bundle; said before anything is run.
        PipelineError: a step failed.
    """
    from pipelines.catalogue import arguments, step_count
    from pipelines.execution import execute
    from rampart.bundle.staging import refuse_other_things
    from rampart.bundle.store import copy
    from rampart.data.sources import fingerprint
    from rampart.registry.connection import default_tracking_uri

    root = root.resolve()
    values = {"tracking_uri": settings().tracking_uri or default_tracking_uri(root)}
    if "uri" in given:
        values["fingerprint"] = fingerprint(given["uri"])
    checked = arguments(name, values | given)
    if bundle is not None:
        refuse_other_things(bundle)
    with Steps(err, step_count(name)) as steps:
        outputs = execute(name, checked, root, steps.show)
    if bundle is not None:
        copy(Path(outputs["bundle"]), bundle)
        outputs["bundle"] = str(bundle)
    return outputs
