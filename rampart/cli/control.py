"""`rampart serve-control`: the API that starts, follows and stops studies and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rampart.settings import checked


def serve_control(
    *,
    port: Annotated[
        int | None, typer.Option(help="Port, 8100 if unset; 0 takes a free one.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on, 127.0.0.1 if unset; others than loopback need "
            "authentication."
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of runs, as `rampart pipeline run --root` has it; build/pipeline if unset."
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the bearer token that callers have to send.")
    ] = None,
    mesh_header: Annotated[
        str | None, typer.Option(help="Header in which the mesh says who calls; it is believed.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna's storage; sqlite in the root folder if unset.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="MLflow's address; sqlite in the root folder if unset.")
    ] = None,
    kfp_endpoint: Annotated[
        str | None, typer.Option(help="Kubeflow Pipelines, where runs go then.")
    ] = None,
) -> None:
    """Start, follow and stop studies and training runs over HTTP, until told to stop.

    Runs go on when it ends, and are found when it is started again. A token may be given in
    RAMPART_CONTROL_TOKEN too; `python -m serving.control --help` lists all settings.
    """
    from serving.control.settings import ControlSettings

    settings = checked(
        ControlSettings,
        port=port,
        host=host,
        root=root,
        token_file=token_file,
        mesh_header=mesh_header,
        storage=storage,
        tracking_uri=tracking_uri,
        kfp_endpoint=kfp_endpoint,
    )
    # Only now: importing the server imports what it starts, which takes seconds.
    from serving.control.server import serve

    serve(settings)
