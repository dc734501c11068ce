"""The image's entry point: KServe's own flags, RAMPART_* variables, or both."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from serving.aggregator.settings import ContainerSettings
from serving.predictor.entry import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    return run("python -m serving.aggregator", ContainerSettings, _serve, arguments)


def _serve(settings: ContainerSettings) -> None:
    # Only now: importing the server imports KServe, which takes seconds.
    from serving.aggregator.server import serve

    serve(settings)


if __name__ == "__main__":
    sys.exit(main())
