"""`rampart serve`: a bundle behind KServe's protocol on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rampart.errors import InputError


def serve(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    http_port: Annotated[int, typer.Option(help="Port of REST; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="Port of gRPC; 0 takes a free one.")] = 8081,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    model_name: Annotated[str, typer.Option(help="Name in URLs and gRPC requests.")] = "rampart",
    threads: Annotated[
        int | None, typer.Option(help="Threads each model computes with; all cores if unset.")
    ] = None,
) -> None:
    """Serve a bundle by KServe's V2 protocol, REST and gRPC, and V1, until told to stop.

    Limits and further settings are read from RAMPART_* variables; `python -m serving.predictor
    --help` lists them.
    """
    from pydantic import ValidationError

    from serving.predictor.settings import PredictorSettings

    try:
        settings = PredictorSettings(
            bundle=bundle,
            http_port=http_port,
            grpc_port=grpc_port,
            host=host,
            model_name=model_name,
            threads=threads,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where} cannot be used: {first['msg']}.", "See --help.") from None
    # Only now: importing the server imports KServe, which takes seconds.
    from serving.predictor.server import serve as run

    run(settings)
