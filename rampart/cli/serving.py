"""`rampart serve`: a bundle behind KServe's protocol on this machine, and the servers around it."""

from __future__ import annotations

from typing import Annotated

import typer

from rampart.settings import checked

_WATCH_SECONDS = 2.0
HttpPort = Annotated[int, typer.Option(help="Port of REST; 0 takes a free one.")]
GrpcPort = Annotated[int, typer.Option(help="Port of gRPC; 0 takes a free one.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
ModelName = Annotated[str, typer.Option(help="Name in URLs and gRPC requests.")]
Predictor = Annotated[str, typer.Option(help="Address of the predictor's gRPC.")]


def serve(
    bundle: Annotated[
        str,
        typer.Argument(
            help="Folder of the bundle; or of several, each in a folder that has the model's name; "
            "or the address of one, such as s3://bucket/bundle."
        ),
    ],
    *,
    http_port: HttpPort = 8080,
    grpc_port: GrpcPort = 8081,
    host: Host = "127.0.0.1",
    model_name: ModelName = "rampart",
    threads: Annotated[
        int | None, typer.Option(help="Threads each model computes with; all cores if unset.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: the GPU where ONNX Runtime can use one.")
    ] = "auto",
    cascade: Annotated[
        bool, typer.Option(help="Settle texts early where the bundle says that this is safe.")
    ] = True,
    workers: Annotated[int, typer.Option(help="Processes that answer.")] = 1,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Serve each new bundle that takes the old one's place."),
    ] = False,
) -> None:
    """Serve a bundle by KServe's V2 protocol, REST and gRPC, and V1, until told to stop.

    Limits and further settings are read from RAMPART_* variables; `python -m serving.predictor
    --help` lists them.
    """
    from serving.predictor.settings import PredictorSettings

    settings = checked(
        PredictorSettings,
        bundle=bundle,
        http_port=http_port,
        grpc_port=grpc_port,
        host=host,
        model_name=model_name,
        threads=threads,
        device=device,
        cascade=cascade,
        workers=workers,
        **({"reload_seconds": _WATCH_SECONDS} if watch else {}),
    )
    # Only now: importing the server imports KServe, which takes seconds.
    from serving.predictor.server import serve as run

    run(settings)


def serve_explainer(
    *,
    predictor: Predictor = "127.0.0.1:8081",
    http_port: HttpPort = 8090,
    grpc_port: GrpcPort = 8091,
    host: Host = "127.0.0.1",
    model_name: ModelName = "rampart",
) -> None:
    """Explain a predictor's verdicts by SHAP, LIME or occlusion, until told to stop.

    V1 clients ask :explain, V2 clients send the parameter `explain`; `evaluations`, `seconds` and
    `seed` say what one explanation may cost. Limits are read from RAMPART_* variables; `python -m
    serving.explainer --help` lists them.
    """
    from serving.explainer.settings import ExplainerSettings

    settings = checked(
        ExplainerSettings,
        predictor_host=predictor,
        http_port=http_port,
        grpc_port=grpc_port,
        host=host,
        model_name=model_name,
    )
    from serving.explainer.server import serve as run

    run(settings)


def serve_transformer(
    *,
    predictor: Predictor = "127.0.0.1:8081",
    http_port: HttpPort = 8070,
    grpc_port: GrpcPort = 8071,
    host: Host = "127.0.0.1",
    model_name: ModelName = "rampart",
) -> None:
    """Take raw mails, ask a predictor about their texts, and say where in the mails its spans are.

    The input is `mail`, BYTES; outputs `part`, `raw_span` and `raw_exact` place each span, and
    `text`, if asked for, is what was read. Limits are read from RAMPART_* variables; `python -m
    serving.transformer --help` lists them.
    """
    from serving.transformer.settings import TransformerSettings

    settings = checked(
        TransformerSettings,
        predictor_host=predictor,
        http_port=http_port,
        grpc_port=grpc_port,
        host=host,
        model_name=model_name,
    )
    from serving.transformer.server import serve as run

    run(settings)


def serve_aggregator(
    *,
    method: Annotated[
        str, typer.Option(help="How answers become one: voting, weighted or stacking.")
    ] = "voting",
    weights: Annotated[
        str, typer.Option(help="Of each step, such as ngram=0.7,encoder=0.3; all alike if unset.")
    ] = "",
    intercept: Annotated[float, typer.Option(help="What stacking adds.")] = 0.0,
    threshold: Annotated[float, typer.Option(help="Probability from which it is a threat.")] = 0.5,
    missing: Annotated[
        str, typer.Option(help="Where a step has failed: refuse, or ignore it.")
    ] = "refuse",
    http_port: HttpPort = 8060,
    grpc_port: GrpcPort = 8061,
    host: Host = "127.0.0.1",
    model_name: ModelName = "rampart",
) -> None:
    """Make one answer of several models', as a step behind an InferenceGraph's Ensemble.

    It takes {step: response} and gives one V2 response, or V1's where it was asked by V1. Limits
    are read from RAMPART_* variables; `python -m serving.aggregator --help` lists them.
    """
    from serving.aggregator.settings import AggregatorSettings

    settings = checked(
        AggregatorSettings,
        method=method,
        weights=weights,
        intercept=intercept,
        threshold=threshold,
        missing=missing,
        http_port=http_port,
        grpc_port=grpc_port,
        host=host,
        model_name=model_name,
    )
    from serving.aggregator.server import serve as run

    run(settings)
