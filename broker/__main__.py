"""`python -m broker`: a broker on this machine till Ctrl-C; Docker's where its engine answers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from broker.artefacts import HERE, artefacts, pin
from broker.local import Broker
from rampart.cli.console import err, fail, out
from rampart.errors import RampartError

_PORT = 9092
_ENGINE_SECONDS = 10
_INTERRUPTED = 130
app = typer.Typer(
    help="A real Kafka broker on this machine.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("run")
def run(
    *,
    folder: Annotated[Path, typer.Option(help="For its data and its log.")] = Path("build/kafka"),
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = _PORT,
    docker: Annotated[
        bool | None, typer.Option(help="Use Docker; by default where its engine answers.")
    ] = None,
) -> None:
    """Run a broker until Ctrl-C; what it holds is there the next time."""
    if docker or (docker is None and _engine()):
        _composed(port)
    broker = Broker(folder, port=port)
    err.print("Starting Kafka: the first time its artefacts are fetched (43 MB).")
    signal.signal(signal.SIGTERM, _stopped)
    try:
        broker.start()
        err.print(f"Kafka answers at {broker.address}; its log: {broker.log}. Ctrl-C ends it.")
        broker.wait()
    except KeyboardInterrupt:
        pass
    finally:
        broker.stop()


@app.command("during", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def during(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Option(help="For its data and its log.")] = Path("build/kafka"),
) -> None:
    """Run a command with a broker of its own, whose address is in RAMPART_STREAM_BROKER."""
    signal.signal(signal.SIGTERM, _stopped)
    broker = Broker(folder)
    try:
        with err.status("Starting Kafka: the first time its artefacts are fetched (43 MB)"):
            broker.start()
        done = subprocess.run(  # noqa: S603 - whoever calls says which
            context.args,
            env=os.environ | {"RAMPART_STREAM_BROKER": broker.address},
            check=False,
        )
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        broker.stop()
    raise typer.Exit(done.returncode)


@app.command("jars")
def jars() -> None:
    """Print the folder of Kafka's artefacts, which are fetched where they are not there."""
    out.print(artefacts())


@app.command("pin")
def pin_() -> None:
    """Write broker/jars.sha256 anew from what Maven gives for broker/pom.xml."""
    err.print(f"{pin()} jars are pinned.")


def _engine() -> bool:
    program = shutil.which("docker")
    if program is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [program, "info"], capture_output=True, timeout=_ENGINE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _composed(port: int) -> NoReturn:
    program = shutil.which("docker") or "docker"
    arguments = [program, "compose", "--file", str(HERE / "compose.yaml"), "up"]
    os.execve(  # noqa: S606 - as above
        program, arguments, os.environ | {"RAMPART_KAFKA_PORT": str(port)}
    )


def _stopped(signum: int, frame: FrameType | None) -> NoReturn:
    del signum, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        app()
    except RampartError as error:
        sys.exit(fail(error))
