"""The image's entry point: KServe's own flags, RAMPART_* variables, or both."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from rampart.errors import RampartError, outcome
from serving.predictor.settings import ContainerSettings

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code of `rampart.errors.OUTCOMES`."""
    given = vars(_parser().parse_args(arguments))
    try:
        settings = ContainerSettings(**given)
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            sys.stderr.write(f"{where}: {problem['msg']}, not {problem['input']!r}.\n")
        return USAGE_ERROR
    # Only now: importing the server imports KServe, which takes seconds.
    from serving.predictor.server import serve

    try:
        serve(settings)
    except RampartError as error:
        sys.stderr.write(f"{error}\n")
        return outcome(error).exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.predictor", allow_abbrev=False)
    for name, field in ContainerSettings.model_fields.items():
        flags = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
        if name == "bundle":
            flags["--model_dir"] = None
        parser.add_argument(*flags, dest=name, default=argparse.SUPPRESS, help=field.description)
    return parser


if __name__ == "__main__":
    sys.exit(main())
