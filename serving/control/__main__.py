"""The image's entry point: RAMPART_CONTROL_* variables, or flags of the same names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from serving.control.settings import ControlSettings
from serving.predictor.entry import USAGE_ERROR, ended

# On a command line everybody on the machine could read it.
_NO_FLAG = "token"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    parser = argparse.ArgumentParser(prog="python -m serving.control", allow_abbrev=False)
    for name, field in ControlSettings.model_fields.items():
        if name != _NO_FLAG:
            flag = f"--{name.replace('_', '-')}"
            parser.add_argument(flag, default=argparse.SUPPRESS, help=field.description)
    try:
        settings = ControlSettings(**vars(parser.parse_args(arguments)))
    except ValidationError as error:
        for wrong in error.errors():
            where = ".".join(map(str, wrong["loc"]))
            message = wrong["msg"].removeprefix("Value error, ")
            sys.stderr.write(f"{where + ': ' if where else ''}{message}.\n")
        return USAGE_ERROR
    return ended(lambda: _serve(settings))


def _serve(settings: ControlSettings) -> None:
    # Only now: importing the server imports what it starts, which takes seconds.
    from serving.control.server import serve

    serve(settings)


if __name__ == "__main__":
    sys.exit(main())
